-- Those of the minutes in question whose rows are of a run that is not over.
SELECT DISTINCT q.minute_ms
FROM qoe_minute AS q
JOIN reconcile_minutes AS m ON m.minute_date = q.minute_date AND m.minute_ms = q.minute_ms
WHERE q.run > CAST(@run AS INT64)
