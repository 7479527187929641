-- The staged copies of all other sessions.
SELECT c.*
FROM copies AS c
WHERE NOT EXISTS (
  SELECT 1
  FROM held_sessions AS h
  WHERE h.session_id = c.session_id
)
