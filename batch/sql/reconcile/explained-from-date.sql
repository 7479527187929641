-- The earliest day on which anything arrived of the sessions that the live view set something aside of
-- and that went on since a moment: they are computed again from all that there is of them.
SELECT CAST(MIN(first_received_date) AS STRING) AS from_date
FROM sessions
WHERE last_logged_at_ms >= CAST(@from_ms AS INT64)
  AND session_id IN (SELECT session_id FROM facts_exceptions)
