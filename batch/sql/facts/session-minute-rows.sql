-- The rows of `session_minutes`: all that one part adds to one minute under one CDN.
WITH added AS (
  SELECT
    incarnation_key, part, cdn_set, minute_ms, events, sessions, attempts, plays, startup_ms, stalls,
    ebvs, ebvs_long, vsf, vpf, ended_plays, failures, lost,
    0 AS watched_ms, 0 AS playing_ms, 0 AS stall_ms, 0 AS media_us, 0 AS rated_media_us,
    0 AS bits_played, 0 AS plays_mask, 0 AS viewers_mask
  FROM facts_minute_counts
  UNION ALL
  SELECT
    incarnation_key, part, cdn_set, minute_ms, 0, 0, 0, 0, NULL, 0, 0, 0, 0, 0, 0, 0, 0,
    watched_ms, playing_ms, stall_ms, media_us, rated_media_us, bits_played, plays_mask,
    viewers_mask
  FROM facts_minute_pieces
),
keyed AS (
  SELECT
    a.*,
    COALESCE(NULLIF(a.cdn_set, ''), c.cdn, 'unknown') AS cdn
  FROM added AS a
  JOIN facts_part_contexts AS c ON c.incarnation_key = a.incarnation_key AND c.part = a.part
),
-- A sum may be wider than what it adds up; its rows are many, and as wide as their table's.
summed AS (
  SELECT
    incarnation_key, part, minute_ms, cdn,
    CAST(SUM(sessions) AS INT64) AS sessions,
    CAST(SUM(attempts) AS INT64) AS attempts,
    CAST(SUM(plays) AS INT64) AS plays,
    CAST(SUM(ebvs) AS INT64) AS ebvs,
    CAST(SUM(ebvs_long) AS INT64) AS ebvs_long,
    CAST(SUM(vsf) AS INT64) AS vsf,
    CAST(SUM(vpf) AS INT64) AS vpf,
    CAST(SUM(ended_plays) AS INT64) AS ended_plays,
    CAST(SUM(failures) AS INT64) AS failures,
    CAST(SUM(stalls) AS INT64) AS stalls,
    CAST(SUM(stall_ms) AS INT64) AS stall_ms,
    CAST(SUM(playing_ms) AS INT64) AS playing_ms,
    CAST(SUM(watched_ms) AS INT64) AS watched_ms,
    CAST(SUM(media_us) AS INT64) AS media_us,
    CAST(SUM(rated_media_us) AS INT64) AS rated_media_us,
    CAST(SUM(events) AS INT64) AS events,
    CAST(SUM(lost) AS INT64) AS lost,
    CAST(SUM(bits_played) AS INT64) AS bits_played,
    MAX(startup_ms) AS startup_ms,
    CAST(SUM(plays_mask) AS INT64) AS plays_mask,
    CAST(SUM(viewers_mask) AS INT64) AS viewers_mask
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
  s.sessions,
  s.attempts,
  s.plays,
  s.ebvs,
  s.ebvs_long,
  s.vsf,
  s.vpf,
  s.ended_plays,
  s.failures,
  s.stalls,
  s.stall_ms,
  s.playing_ms,
  s.watched_ms,
  s.media_us,
  s.rated_media_us,
  s.events,
  s.lost,
  s.bits_played,
  s.startup_ms,
  -- A viewer counts where an event is.
  IF(s.events > 0, r.viewer_register, NULL) AS viewer_register,
  IF(s.events > 0, r.viewer_rank, NULL) AS viewer_rank,
  MOD(DIV(s.plays_mask, 1), 2) AS concurrent_plays_0,
  MOD(DIV(s.plays_mask, 2), 2) AS concurrent_plays_1,
  MOD(DIV(s.plays_mask, 4), 2) AS concurrent_plays_2,
  MOD(DIV(s.plays_mask, 8), 2) AS concurrent_plays_3,
  MOD(DIV(s.plays_mask, 16), 2) AS concurrent_plays_4,
  MOD(DIV(s.plays_mask, 32), 2) AS concurrent_plays_5,
  MOD(DIV(s.viewers_mask, 1), 2) AS concurrent_viewers_0,
  MOD(DIV(s.viewers_mask, 2), 2) AS concurrent_viewers_1,
  MOD(DIV(s.viewers_mask, 4), 2) AS concurrent_viewers_2,
  MOD(DIV(s.viewers_mask, 8), 2) AS concurrent_viewers_3,
  MOD(DIV(s.viewers_mask, 16), 2) AS concurrent_viewers_4,
  MOD(DIV(s.viewers_mask, 32), 2) AS concurrent_viewers_5,
  c.session_bucket,
  p.run
FROM summed AS s
JOIN facts_incarnations AS i ON i.incarnation_key = s.incarnation_key
JOIN facts_part_contexts AS c ON c.incarnation_key = s.incarnation_key AND c.part = s.part
LEFT JOIN ranks AS r ON r.incarnation_key = s.incarnation_key AND r.part = s.part
CROSS JOIN facts_parameters AS p
