-- The day on which the first event arrived of the sessions that the run computed.
SELECT CAST(MIN(first_received_date) AS STRING) AS from_date
FROM quality_sessions
