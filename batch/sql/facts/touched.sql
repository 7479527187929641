-- The sessions of one bucket, with an integer that stands for each of them.
SELECT session_id, incarnation, ROW_NUMBER() OVER (ORDER BY session_id) AS session_key
FROM facts_all_touched
WHERE MOD(session_bucket, CAST(@bucket_count AS INT64)) = CAST(@bucket AS INT64)
