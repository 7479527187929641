-- The sessions asked for, all their incarnations.
SELECT DISTINCT session_id, session_bucket, -1 AS incarnation
FROM facts_sessions_asked
