-- The sessions of one group, with an integer that stands for each of them.
SELECT session_id, incarnation, ROW_NUMBER() OVER (ORDER BY session_id) AS session_key
FROM facts_all_touched
WHERE session_id BETWEEN @first_session AND @last_session
