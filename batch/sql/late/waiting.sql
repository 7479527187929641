-- How many copies wait, and since when.
SELECT COUNT(*) AS copies, MIN(held_at) AS held_at
FROM late_events
