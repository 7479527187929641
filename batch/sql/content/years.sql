-- The partitions of the table in which rows of the changed contents go or come.
SELECT CAST(valid_from_year AS STRING) AS date
FROM content_changed_rows
UNION DISTINCT
SELECT CAST(c.valid_from_year AS STRING) AS date
FROM content AS c
JOIN content_changed AS d ON d.content_id = c.content_id
