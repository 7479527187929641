-- The sessions of one group, with an integer that stands for each of them, from copies of all partitions.
SELECT
  session_id,
  incarnation,
  CAST(NULL AS INT64) AS log_partition,
  ROW_NUMBER() OVER (ORDER BY session_id) AS session_key
FROM facts_all_touched
WHERE session_id BETWEEN @first_session AND @last_session
