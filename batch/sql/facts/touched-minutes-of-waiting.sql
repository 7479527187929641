-- Every minute that copies which have waited may change: those of their sessions as they were and as
-- they are now, and those in which their frames arrived.
WITH minutes AS (
  SELECT minute_ms
  FROM facts_session_minute_rows
  UNION DISTINCT
  SELECT m.minute_ms
  FROM session_minutes AS m
  JOIN facts_all_incarnations AS i
    ON i.session_id = m.session_id AND i.incarnation = m.incarnation
  CROSS JOIN facts_parameters AS p
  WHERE m.minute_date >= p.from_minute_date
  UNION DISTINCT
  SELECT received_at_ms - MOD(received_at_ms, 60000) AS minute_ms
  FROM late_waiting
)
SELECT DATE(TIMESTAMP_MILLIS(minute_ms)) AS minute_date, minute_ms
FROM minutes
