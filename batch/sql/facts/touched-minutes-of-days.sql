-- Every minute that a recomputation of days may change: those of its sessions as they were and as
-- they are now, and those in which frames arrived in these days.
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
  FROM frames
  WHERE received_date BETWEEN CAST(@from_date AS DATE) AND CAST(@to_date AS DATE)
)
SELECT DATE(TIMESTAMP_MILLIS(minute_ms)) AS minute_date, minute_ms
FROM minutes
