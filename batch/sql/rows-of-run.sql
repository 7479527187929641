-- How many rows of each partition the run has in `events` and in `event_copies`.
SELECT log_partition, COUNTIF(is_event) AS events, COUNTIF(NOT is_event) AS copies
FROM (
  SELECT log_partition, TRUE AS is_event
  FROM events
  WHERE run = CAST(@run AS INT64) AND received_date >= CAST(@from_date AS DATE)
  UNION ALL
  SELECT log_partition, FALSE AS is_event
  FROM event_copies
  WHERE run = CAST(@run AS INT64) AND received_date >= CAST(@from_date AS DATE)
) AS rows_of_run
GROUP BY log_partition
