-- The frames of the lost sessions that brought something new, in the order of the log: what a
-- timeline points to. The first of an incarnation is the frame that began it.
SELECT
  e.session_id,
  e.incarnation,
  e.log_offset,
  MIN(e.logged_at_ms) AS logged_at_ms,
  MIN(e.received_at_ms) AS received_at_ms
FROM (
  SELECT session_id, incarnation, log_offset, logged_at_ms, received_at_ms
  FROM events
  UNION ALL
  SELECT session_id, incarnation, log_offset, logged_at_ms, received_at_ms
  FROM event_copies
  WHERE kind = 'rejected'
) AS e
JOIN reconcile_lost_sessions AS l ON l.session_id = e.session_id
GROUP BY e.session_id, e.incarnation, e.log_offset
ORDER BY e.session_id, e.incarnation, e.log_offset
