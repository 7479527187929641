-- The incarnations of the sessions that have waited, from the earliest of each that may have changed on.
SELECT w.session_id, w.session_bucket, MIN(i.incarnation) AS incarnation
FROM late_waiting AS w
JOIN load_incarnations AS i ON i.session_id = w.session_id
GROUP BY w.session_id, w.session_bucket
