-- Every minute of the sessions computed, and those in which frames arrived since `from_date`.
WITH minutes AS (
  SELECT minute_ms
  FROM facts_session_minute_rows
  UNION DISTINCT
  SELECT f.received_at_ms - MOD(f.received_at_ms, 60000) AS minute_ms
  FROM frames AS f
  CROSS JOIN facts_parameters AS p
  WHERE f.received_date >= p.from_date
)
SELECT DATE(TIMESTAMP_MILLIS(minute_ms)) AS minute_date, minute_ms
FROM minutes
