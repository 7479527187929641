-- The rows of `qoe_minute`: the minutes to compute, in every cut. '' stands for a dimension that the
-- cut does not have until the end, because a join does not match nulls.
WITH keyed AS (
  SELECT
    k.cut,
    IF(k.by_content_id, f.content_id, '') AS key_content_id,
    IF(k.by_cdn, f.cdn, '') AS key_cdn,
    IF(k.by_device_type, f.device_type, '') AS key_device_type,
    IF(k.by_player_name, f.player_name, '') AS key_player_name,
    IF(k.by_player_version, f.player_version, '') AS key_player_version,
    IF(k.by_country, f.country, '') AS key_country,
    k.viewers,
    f.*
  FROM facts_finest AS f
  CROSS JOIN facts_cuts AS k
),
summed AS (
  SELECT
    cut, minute_ms, key_content_id, key_cdn, key_device_type, key_player_name,
    key_player_version, key_country, viewers,
    SUM(sessions) AS sessions,
    SUM(attempts) AS attempts,
    SUM(plays) AS plays,
    SUM(ebvs) AS ebvs,
    SUM(ebvs_long) AS ebvs_long,
    SUM(vsf) AS vsf,
    SUM(vpf) AS vpf,
    SUM(ended_plays) AS ended_plays,
    SUM(failures) AS failures,
    SUM(startups) AS startups,
    SUM(startup_sum_ms) AS startup_sum_ms,
    SUM(stalls) AS stalls,
    SUM(stall_ms) AS stall_ms,
    SUM(playing_ms) AS playing_ms,
    SUM(watched_ms) AS watched_ms,
    SUM(media_us) AS media_us,
    SUM(rated_media_us) AS rated_media_us,
    SUM(events) AS events,
    SUM(lost) AS lost,
    SUM(frames) AS frames,
    SUM(bytes) AS bytes,
    SUM(duplicates) AS duplicates,
    SUM(bits_played) AS bits_played,
    SUM(concurrent_plays_0) AS concurrent_plays_0,
    SUM(concurrent_plays_1) AS concurrent_plays_1,
    SUM(concurrent_plays_2) AS concurrent_plays_2,
    SUM(concurrent_plays_3) AS concurrent_plays_3,
    SUM(concurrent_plays_4) AS concurrent_plays_4,
    SUM(concurrent_plays_5) AS concurrent_plays_5,
    SUM(concurrent_viewers_0) AS concurrent_viewers_0,
    SUM(concurrent_viewers_1) AS concurrent_viewers_1,
    SUM(concurrent_viewers_2) AS concurrent_viewers_2,
    SUM(concurrent_viewers_3) AS concurrent_viewers_3,
    SUM(concurrent_viewers_4) AS concurrent_viewers_4,
    SUM(concurrent_viewers_5) AS concurrent_viewers_5
  FROM keyed
  GROUP BY
    cut, minute_ms, key_content_id, key_cdn, key_device_type, key_player_name,
    key_player_version, key_country, viewers
)
SELECT
  s.cut,
  DATE(TIMESTAMP_MILLIS(s.minute_ms)) AS minute_date,
  s.minute_ms,
  TIMESTAMP_MILLIS(s.minute_ms) AS minute,
  NULLIF(s.key_content_id, '') AS content_id,
  NULLIF(s.key_cdn, '') AS cdn,
  NULLIF(s.key_device_type, '') AS device_type,
  NULLIF(s.key_player_name, '') AS player_name,
  NULLIF(s.key_player_version, '') AS player_version,
  NULLIF(s.key_country, '') AS country,
  CAST(s.sessions AS INT64) AS sessions,
  CAST(s.attempts AS INT64) AS attempts,
  CAST(s.plays AS INT64) AS plays,
  CAST(s.ebvs AS INT64) AS ebvs,
  CAST(s.ebvs_long AS INT64) AS ebvs_long,
  CAST(s.vsf AS INT64) AS vsf,
  CAST(s.vpf AS INT64) AS vpf,
  CAST(s.ended_plays AS INT64) AS ended_plays,
  CAST(s.failures AS INT64) AS failures,
  CAST(s.startups AS INT64) AS startups,
  CAST(s.startup_sum_ms AS INT64) AS startup_sum_ms,
  CAST(s.stalls AS INT64) AS stalls,
  CAST(s.stall_ms AS INT64) AS stall_ms,
  CAST(s.playing_ms AS INT64) AS playing_ms,
  CAST(s.watched_ms AS INT64) AS watched_ms,
  CAST(s.media_us AS INT64) AS media_us,
  CAST(s.rated_media_us AS INT64) AS rated_media_us,
  CAST(s.events AS INT64) AS events,
  CAST(s.lost AS INT64) AS lost,
  CAST(s.frames AS INT64) AS frames,
  CAST(s.bytes AS INT64) AS bytes,
  CAST(s.duplicates AS INT64) AS duplicates,
  CAST(s.bits_played AS INT64) AS bits_played,
  CAST(s.concurrent_plays_0 AS INT64) AS concurrent_plays_0,
  CAST(s.concurrent_plays_1 AS INT64) AS concurrent_plays_1,
  CAST(s.concurrent_plays_2 AS INT64) AS concurrent_plays_2,
  CAST(s.concurrent_plays_3 AS INT64) AS concurrent_plays_3,
  CAST(s.concurrent_plays_4 AS INT64) AS concurrent_plays_4,
  CAST(s.concurrent_plays_5 AS INT64) AS concurrent_plays_5,
  CAST(s.concurrent_viewers_0 AS INT64) AS concurrent_viewers_0,
  CAST(s.concurrent_viewers_1 AS INT64) AS concurrent_viewers_1,
  CAST(s.concurrent_viewers_2 AS INT64) AS concurrent_viewers_2,
  CAST(s.concurrent_viewers_3 AS INT64) AS concurrent_viewers_3,
  CAST(s.concurrent_viewers_4 AS INT64) AS concurrent_viewers_4,
  CAST(s.concurrent_viewers_5 AS INT64) AS concurrent_viewers_5,
  CAST(NULL AS INT64) AS late,
  COALESCE(h.startup_histogram, '') AS startup_histogram,
  IF(s.viewers, COALESCE(v.viewer_registers, ''), NULL) AS viewer_registers,
  p.run
FROM summed AS s
LEFT JOIN facts_startups AS h
  ON h.cut = s.cut
  AND h.minute_ms = s.minute_ms
  AND h.key_content_id = s.key_content_id
  AND h.key_cdn = s.key_cdn
  AND h.key_device_type = s.key_device_type
  AND h.key_player_name = s.key_player_name
  AND h.key_player_version = s.key_player_version
  AND h.key_country = s.key_country
LEFT JOIN facts_viewers AS v
  ON v.cut = s.cut
  AND v.minute_ms = s.minute_ms
  AND v.key_content_id = s.key_content_id
  AND v.key_cdn = s.key_cdn
  AND v.key_device_type = s.key_device_type
  AND v.key_player_name = s.key_player_name
  AND v.key_player_version = s.key_player_version
  AND v.key_country = s.key_country
CROSS JOIN facts_parameters AS p
