-- What the copies that the run loaded say by themselves, by player: how many were found of how many
-- that were looked at. The exceptions are counted apart; what they are looked for in, here.
WITH copies AS (
  SELECT
    'event' AS kind, player_name, player_version, content_id, cdn, device_type, at_ms, sent_at_ms
  FROM events
  WHERE run = CAST(@run AS INT64)
    AND received_date BETWEEN CAST(@from_date AS DATE) AND CAST(@to_date AS DATE)
  UNION ALL
  SELECT kind, player_name, player_version, content_id, cdn, device_type, at_ms, sent_at_ms
  FROM event_copies
  WHERE run = CAST(@run AS INT64)
    AND received_date BETWEEN CAST(@from_date AS DATE) AND CAST(@to_date AS DATE)
),
totals AS (
  SELECT
    COALESCE(player_name, 'unknown') AS player_name,
    COALESCE(player_version, 'unknown') AS player_version,
    COUNT(*) AS copies,
    COUNTIF(kind = 'event') AS events,
    COUNTIF(kind = 'duplicate') AS duplicates,
    COUNTIF(kind = 'rejected') AS rejected,
    COUNTIF(kind = 'event' AND content_id IS NULL) AS without_content,
    COUNTIF(kind = 'event' AND cdn IS NULL) AS without_cdn,
    COUNTIF(kind = 'event' AND device_type IS NULL) AS without_device,
    COUNTIF(kind = 'event' AND (player_name IS NULL OR player_version IS NULL)) AS without_player,
    COUNTIF(kind = 'event' AND at_ms > sent_at_ms) AS at_in_future
  FROM copies
  GROUP BY COALESCE(player_name, 'unknown'), COALESCE(player_version, 'unknown')
)
SELECT 'stage_events' AS check_name, player_name, player_version, events AS found, copies AS checked
FROM totals
UNION ALL
SELECT 'duplicate' AS check_name, player_name, player_version, duplicates, events + duplicates
FROM totals
UNION ALL
SELECT 'rejected' AS check_name, player_name, player_version, rejected, copies
FROM totals
UNION ALL
SELECT 'null_content' AS check_name, player_name, player_version, without_content, events
FROM totals
UNION ALL
SELECT 'null_cdn' AS check_name, player_name, player_version, without_cdn, events
FROM totals
UNION ALL
SELECT 'null_device' AS check_name, player_name, player_version, without_device, events
FROM totals
UNION ALL
SELECT 'null_player' AS check_name, player_name, player_version, without_player, events
FROM totals
UNION ALL
SELECT 'at_in_future' AS check_name, player_name, player_version, at_in_future, events
FROM totals
UNION ALL
SELECT 'late' AS check_name, player_name, player_version, 0, events
FROM totals
UNION ALL
SELECT 'amended' AS check_name, player_name, player_version, 0, events
FROM totals
UNION ALL
SELECT 'after_close' AS check_name, player_name, player_version, 0, events
FROM totals
UNION ALL
SELECT 'capped' AS check_name, player_name, player_version, 0, events
FROM totals
