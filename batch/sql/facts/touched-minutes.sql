-- Every minute that the run may change: those of its sessions as they were and as they are now, and
-- those in which its frames arrived.
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
  SELECT f.received_at_ms - MOD(f.received_at_ms, 60000) AS minute_ms
  FROM frames AS f
  CROSS JOIN facts_parameters AS p
  WHERE f.received_date >= CAST(@from_date AS DATE) AND f.run = p.run
)
SELECT DATE(TIMESTAMP_MILLIS(minute_ms)) AS minute_date, minute_ms
FROM minutes
