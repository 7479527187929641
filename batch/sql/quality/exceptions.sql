-- The exceptions that the run loaded, by the player of the frame that each came in. An exception of
-- a frame that arrived too long ago to be looked up is of an unknown player.
WITH listed AS (
  SELECT DISTINCT session_id, seq, reason, source_partition, source_offset
  FROM exceptions
  WHERE run = CAST(@run AS INT64)
    AND logged_date BETWEEN CAST(@from_date AS DATE) AND CAST(@to_date AS DATE)
),
sources AS (
  SELECT log_partition, log_offset, player_name, player_version
  FROM frames
  WHERE received_date >= CAST(@frames_from_date AS DATE)
)
SELECT
  IF(x.reason = 'afterClose', 'after_close', x.reason) AS check_name,
  COALESCE(f.player_name, 'unknown') AS player_name,
  COALESCE(f.player_version, 'unknown') AS player_version,
  COUNT(*) AS found,
  0 AS checked
FROM listed AS x
LEFT JOIN sources AS f
  ON f.log_partition = x.source_partition AND f.log_offset = x.source_offset
GROUP BY x.reason, COALESCE(f.player_name, 'unknown'), COALESCE(f.player_version, 'unknown')
