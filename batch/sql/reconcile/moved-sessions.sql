-- Sessions of which several partitions hold copies, a row a partition: the log had fewer partitions
-- when they began. The live view has one of each; the history has one.
WITH held AS (
  SELECT session_id, session_bucket, log_partition
  FROM events
  WHERE received_date >= CAST(@from_date AS DATE)
  UNION DISTINCT
  SELECT session_id, session_bucket, log_partition
  FROM event_copies
  WHERE received_date >= CAST(@from_date AS DATE)
)
SELECT h.session_id, h.session_bucket, h.log_partition
FROM held AS h
JOIN (
  SELECT session_id FROM held GROUP BY session_id HAVING MIN(log_partition) < MAX(log_partition)
) AS m ON m.session_id = h.session_id
