-- The staged copies of the sessions that are held back, each with the reason.
SELECT
  c.*,
  IF(c.accepted, 'accepted', 'rejected') AS kind,
  IF(c.received_date < CAST(@bound AS DATE), 'old_arrival', h.reason) AS reason,
  TIMESTAMP_MILLIS(CAST(@held_at_ms AS INT64)) AS held_at
FROM copies AS c
JOIN held_sessions AS h ON h.session_id = c.session_id
