-- Sessions of which a copy is excluded, with the bucket that they are computed in.
SELECT DISTINCT e.session_id, e.session_bucket
FROM (
  SELECT session_id, session_bucket FROM events
  UNION DISTINCT
  SELECT session_id, session_bucket FROM event_copies
) AS e
JOIN facts_exceptions AS x ON x.session_id = e.session_id
