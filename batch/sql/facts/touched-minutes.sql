-- Every minute that may change: those of the sessions as they were and as they are now, and those in
-- which the frames arrived that `arrivals` yields.
SELECT DATE(TIMESTAMP_MILLIS(minute_ms)) AS minute_date, minute_ms
FROM (
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
  FROM arrivals
) AS minutes
