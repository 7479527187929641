-- The days of `sessions` whose rows say something else of their content now.
SELECT DISTINCT CAST(start_date AS STRING) AS date
FROM content_refilled
