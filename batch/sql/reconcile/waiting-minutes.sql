-- What those sessions add to: minutes and dimensions.
SELECT DISTINCT
  m.minute_ms, m.content_id, m.cdn, m.device_type, m.player_name, m.player_version, m.country
FROM session_minutes AS m
JOIN reconcile_waiting AS w ON w.session_id = m.session_id
