-- The bounds of groups of sessions, in the order of their ids.
SELECT MIN(session_id) AS first_session, MAX(session_id) AS last_session
FROM (
  SELECT
    session_id,
    DIV(
      (ROW_NUMBER() OVER (ORDER BY session_id) - 1) * CAST(@group_count AS INT64),
      COUNT(*) OVER ()
    ) AS session_group
  FROM (SELECT DISTINCT session_id FROM asked) AS sessions
) AS placed
GROUP BY session_group
ORDER BY first_session
