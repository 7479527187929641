-- What the sessions say that the run computed, by player. What is lost is known of closed ones only.
WITH totals AS (
  SELECT
    player_name,
    player_version,
    SUM(play) AS plays,
    SUM(IF(startup_ms IS NULL, play, 0)) AS without_request,
    COUNTIF(media_us > 0) AS with_media,
    COUNTIF(media_us > 0 AND rated_media_us = 0) AS without_bitrate,
    SUM(events) AS events,
    SUM(IF(closed, lost, 0)) AS lost,
    SUM(IF(closed, events + lost, 0)) AS sent,
    SUM(repairs_state) AS repairs_state,
    SUM(repairs_backwards) AS repairs_backwards,
    SUM(repairs_clamped) AS repairs_clamped
  FROM quality_sessions
  GROUP BY player_name, player_version
)
SELECT
  'start_without_request' AS check_name,
  player_name,
  player_version,
  without_request AS found,
  plays AS checked
FROM totals
UNION ALL
SELECT 'null_bitrate' AS check_name, player_name, player_version, without_bitrate, with_media
FROM totals
UNION ALL
SELECT 'lost' AS check_name, player_name, player_version, lost, sent
FROM totals
UNION ALL
SELECT 'repair_state' AS check_name, player_name, player_version, repairs_state, events
FROM totals
UNION ALL
SELECT 'repair_backwards' AS check_name, player_name, player_version, repairs_backwards, events
FROM totals
UNION ALL
SELECT 'repair_clamped' AS check_name, player_name, player_version, repairs_clamped, events
FROM totals
