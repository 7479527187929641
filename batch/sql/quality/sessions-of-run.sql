-- The parts of sessions that the run computed, with what the checks look at.
SELECT
  session_id,
  incarnation,
  session_bucket,
  first_received_date,
  COALESCE(player_name, 'unknown') AS player_name,
  COALESCE(player_version, 'unknown') AS player_version,
  closed,
  play,
  startup_ms,
  media_us,
  rated_media_us,
  events,
  lost,
  repairs_state,
  repairs_backwards,
  repairs_clamped
FROM sessions
WHERE run = CAST(@run AS INT64)
  AND start_date BETWEEN CAST(@from_date AS DATE) AND CAST(@to_date AS DATE)
