-- The metadata as it is now: what has changed, and of the other contents what the table holds.
SELECT *
FROM content_changed_rows
UNION ALL
SELECT c.*
FROM content AS c
WHERE NOT EXISTS (
  SELECT 1
  FROM content_changed AS d
  WHERE d.content_id = c.content_id
)
