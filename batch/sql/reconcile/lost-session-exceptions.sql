-- What the live view set aside of the lost sessions.
SELECT x.session_id, x.source_offset, x.reason
FROM facts_exceptions AS x
JOIN reconcile_lost_sessions AS l ON l.session_id = x.session_id
WHERE x.type <> 'rejected'
