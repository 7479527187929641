-- The days of `sessions` in which rows are written or replaced.
SELECT CAST(start_date AS STRING) AS date
FROM facts_session_rows
UNION DISTINCT
SELECT CAST(s.start_date AS STRING) AS date
FROM sessions AS s
JOIN facts_all_incarnations AS i
  ON i.session_id = s.session_id AND i.incarnation = s.incarnation
