-- Those of the sessions in question of which a run that is not over has loaded something, or has
-- computed it: one of their tables may be ahead of another.
SELECT DISTINCT e.session_id
FROM (
  SELECT session_id, run FROM events
  UNION ALL
  SELECT session_id, run FROM event_copies
  UNION ALL
  SELECT session_id, run FROM sessions
) AS e
JOIN reconcile_sessions AS s ON s.session_id = e.session_id
WHERE e.run > CAST(@run AS INT64)
