-- The incarnations of which a copy arrived in the given days, from the earliest of each session on.
WITH touched AS (
  SELECT session_id, incarnation, session_bucket
  FROM events
  WHERE received_date BETWEEN CAST(@from_date AS DATE) AND CAST(@to_date AS DATE)
  UNION DISTINCT
  SELECT session_id, incarnation, session_bucket
  FROM event_copies
  WHERE received_date BETWEEN CAST(@from_date AS DATE) AND CAST(@to_date AS DATE)
)
SELECT session_id, session_bucket, MIN(incarnation) AS incarnation
FROM touched
GROUP BY session_id, session_bucket
