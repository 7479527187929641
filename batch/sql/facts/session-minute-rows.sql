-- The rows of `session_minutes`: all that one part adds to one minute under one CDN.
WITH added AS (
  SELECT
    incarnation_key, part, cdn_set, minute_ms, events, sessions, attempts, plays, startup_ms, stalls,
    ebvs, ebvs_long, vsf, vpf, ended_plays, failures, lost,
    0 AS watched_ms, 0 AS playing_ms, 0 AS stall_ms, 0 AS media_us, 0 AS rated_media_us,
    0 AS bits_played,
    0 AS concurrent_plays_0, 0 AS concurrent_plays_1, 0 AS concurrent_plays_2,
    0 AS concurrent_plays_3, 0 AS concurrent_plays_4, 0 AS concurrent_plays_5,
    0 AS concurrent_viewers_0, 0 AS concurrent_viewers_1, 0 AS concurrent_viewers_2,
    0 AS concurrent_viewers_3, 0 AS concurrent_viewers_4, 0 AS concurrent_viewers_5
  FROM facts_minute_counts
  UNION ALL
  SELECT
    incarnation_key, part, cdn_set, minute_ms, 0, 0, 0, 0, NULL, 0, 0, 0, 0, 0, 0, 0, 0,
    watched_ms, playing_ms, stall_ms, media_us, rated_media_us, bits_played,
    concurrent_plays_0, concurrent_plays_1, concurrent_plays_2,
    concurrent_plays_3, concurrent_plays_4, concurrent_plays_5,
    concurrent_viewers_0, concurrent_viewers_1, concurrent_viewers_2,
    concurrent_viewers_3, concurrent_viewers_4, concurrent_viewers_5
  FROM facts_minute_pieces
),
keyed AS (
  SELECT
    a.*,
    COALESCE(NULLIF(a.cdn_set, ''), c.cdn, 'unknown') AS cdn
  FROM added AS a
  JOIN facts_part_contexts AS c ON c.incarnation_key = a.incarnation_key AND c.part = a.part
),
summed AS (
  SELECT
    incarnation_key, part, minute_ms, cdn,
    SUM(sessions) AS sessions,
    SUM(attempts) AS attempts,
    SUM(plays) AS plays,
    SUM(ebvs) AS ebvs,
    SUM(ebvs_long) AS ebvs_long,
    SUM(vsf) AS vsf,
    SUM(vpf) AS vpf,
    SUM(ended_plays) AS ended_plays,
    SUM(failures) AS failures,
    SUM(stalls) AS stalls,
    SUM(stall_ms) AS stall_ms,
    SUM(playing_ms) AS playing_ms,
    SUM(watched_ms) AS watched_ms,
    SUM(media_us) AS media_us,
    SUM(rated_media_us) AS rated_media_us,
    SUM(events) AS events,
    SUM(lost) AS lost,
    SUM(bits_played) AS bits_played,
    MAX(startup_ms) AS startup_ms,
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
  GROUP BY incarnation_key, part, minute_ms, cdn
),
-- HyperLogLog, p = 12: digits 1 to 3 of the pseudonym are the register; the rank is 1 + the leading
-- zero bits of digits 4 to 16, counted by whole zero digits and the first other digit.
viewers AS (
  SELECT
    incarnation_key,
    part,
    CAST('0x' || SUBSTR(viewer_pseudonym, 1, 3) AS INT64) AS viewer_register,
    LTRIM(SUBSTR(viewer_pseudonym, 4, 13), '0') AS significant
  FROM facts_part_contexts
  WHERE viewer_pseudonym IS NOT NULL
),
ranks AS (
  SELECT
    incarnation_key,
    part,
    viewer_register,
    4 * (13 - LENGTH(significant)) + CASE
      WHEN significant = '' THEN 1
      WHEN significant < '2' THEN 4
      WHEN significant < '4' THEN 3
      WHEN significant < '8' THEN 2
      ELSE 1
    END AS viewer_rank
  FROM viewers
)
SELECT
  i.session_id,
  i.incarnation,
  s.part,
  DATE(TIMESTAMP_MILLIS(s.minute_ms)) AS minute_date,
  s.minute_ms,
  COALESCE(c.content_id, 'unknown') AS content_id,
  s.cdn,
  COALESCE(c.device_type, 'unknown') AS device_type,
  COALESCE(c.player_name, 'unknown') AS player_name,
  COALESCE(c.player_version, 'unknown') AS player_version,
  COALESCE(c.country, 'unknown') AS country,
  CAST(s.sessions AS INT64) AS sessions,
  CAST(s.attempts AS INT64) AS attempts,
  CAST(s.plays AS INT64) AS plays,
  CAST(s.ebvs AS INT64) AS ebvs,
  CAST(s.ebvs_long AS INT64) AS ebvs_long,
  CAST(s.vsf AS INT64) AS vsf,
  CAST(s.vpf AS INT64) AS vpf,
  CAST(s.ended_plays AS INT64) AS ended_plays,
  CAST(s.failures AS INT64) AS failures,
  CAST(s.stalls AS INT64) AS stalls,
  CAST(s.stall_ms AS INT64) AS stall_ms,
  CAST(s.playing_ms AS INT64) AS playing_ms,
  CAST(s.watched_ms AS INT64) AS watched_ms,
  CAST(s.media_us AS INT64) AS media_us,
  CAST(s.rated_media_us AS INT64) AS rated_media_us,
  CAST(s.events AS INT64) AS events,
  CAST(s.lost AS INT64) AS lost,
  CAST(s.bits_played AS INT64) AS bits_played,
  s.startup_ms,
  -- A viewer counts where an event is.
  IF(s.events > 0, r.viewer_register, NULL) AS viewer_register,
  IF(s.events > 0, r.viewer_rank, NULL) AS viewer_rank,
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
  c.session_bucket,
  p.run
FROM summed AS s
JOIN facts_incarnations AS i ON i.incarnation_key = s.incarnation_key
JOIN facts_part_contexts AS c ON c.incarnation_key = s.incarnation_key AND c.part = s.part
LEFT JOIN ranks AS r ON r.incarnation_key = s.incarnation_key AND r.part = s.part
CROSS JOIN facts_parameters AS p
