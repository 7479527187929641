-- The sessions in question, with the bucket that they are computed in.
SELECT DISTINCT e.session_id, e.session_bucket
FROM (
  SELECT session_id, session_bucket FROM events
  UNION DISTINCT
  SELECT session_id, session_bucket FROM event_copies
) AS e
JOIN reconcile_sessions AS s ON s.session_id = e.session_id
