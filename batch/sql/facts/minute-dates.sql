-- The days of the minutes in which rows are written or replaced.
SELECT DISTINCT CAST(minute_date AS STRING) AS date
FROM facts_touched_minutes
