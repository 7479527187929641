-- The parts of the lost sessions.
SELECT s.*
FROM sessions AS s
JOIN reconcile_lost_sessions AS l ON l.session_id = s.session_id
ORDER BY s.session_id, s.incarnation, s.part
