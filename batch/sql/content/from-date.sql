-- The earliest day on which what is said of a changed content may be another now.
SELECT CAST(DATE(TIMESTAMP_MILLIS(MIN(valid_from_ms))) AS STRING) AS date
FROM (
  SELECT valid_from_ms
  FROM content_changed_rows
  UNION ALL
  SELECT c.valid_from_ms
  FROM content AS c
  JOIN content_changed AS d ON d.content_id = c.content_id
) AS versions
