-- The earliest day on which a copy of the sessions to compute may have arrived.
WITH days AS (
  SELECT MIN(s.first_received_date) AS first_date
  FROM sessions AS s
  JOIN facts_all_touched AS t ON t.session_id = s.session_id AND s.incarnation >= t.incarnation
  UNION ALL
  SELECT from_date AS first_date
  FROM facts_parameters
)
SELECT CAST(MIN(first_date) AS STRING) AS from_date
FROM days
