-- What sessions and arrivals add to the minutes to compute, summed by all dimensions.
WITH added AS (
  SELECT
    minute_ms, content_id, cdn, device_type, player_name, player_version, country,
    sessions, attempts, plays, ebvs, ebvs_long, vsf, vpf, ended_plays, failures,
    IF(startup_ms IS NULL, 0, 1) AS startups, COALESCE(startup_ms, 0) AS startup_sum_ms, stalls,
    stall_ms, playing_ms, watched_ms, media_us, rated_media_us, events, lost, 0 AS frames,
    0 AS bytes, 0 AS duplicates,
    bits_played, concurrent_plays_0, concurrent_plays_1, concurrent_plays_2, concurrent_plays_3,
    concurrent_plays_4, concurrent_plays_5, concurrent_viewers_0, concurrent_viewers_1,
    concurrent_viewers_2, concurrent_viewers_3, concurrent_viewers_4, concurrent_viewers_5
  FROM facts_minutes
  UNION ALL
  SELECT
    minute_ms, content_id, cdn, device_type, player_name, player_version, country,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, frames, bytes, duplicates, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0
  FROM facts_arrivals
)
SELECT
  a.minute_ms,
  d.dimension_key,
  SUM(a.sessions) AS sessions,
  SUM(a.attempts) AS attempts,
  SUM(a.plays) AS plays,
  SUM(a.ebvs) AS ebvs,
  SUM(a.ebvs_long) AS ebvs_long,
  SUM(a.vsf) AS vsf,
  SUM(a.vpf) AS vpf,
  SUM(a.ended_plays) AS ended_plays,
  SUM(a.failures) AS failures,
  SUM(a.startups) AS startups,
  SUM(a.startup_sum_ms) AS startup_sum_ms,
  SUM(a.stalls) AS stalls,
  SUM(a.stall_ms) AS stall_ms,
  SUM(a.playing_ms) AS playing_ms,
  SUM(a.watched_ms) AS watched_ms,
  SUM(a.media_us) AS media_us,
  SUM(a.rated_media_us) AS rated_media_us,
  SUM(a.events) AS events,
  SUM(a.lost) AS lost,
  SUM(a.frames) AS frames,
  SUM(a.bytes) AS bytes,
  SUM(a.duplicates) AS duplicates,
  SUM(a.bits_played) AS bits_played,
  SUM(a.concurrent_plays_0) AS concurrent_plays_0,
  SUM(a.concurrent_plays_1) AS concurrent_plays_1,
  SUM(a.concurrent_plays_2) AS concurrent_plays_2,
  SUM(a.concurrent_plays_3) AS concurrent_plays_3,
  SUM(a.concurrent_plays_4) AS concurrent_plays_4,
  SUM(a.concurrent_plays_5) AS concurrent_plays_5,
  SUM(a.concurrent_viewers_0) AS concurrent_viewers_0,
  SUM(a.concurrent_viewers_1) AS concurrent_viewers_1,
  SUM(a.concurrent_viewers_2) AS concurrent_viewers_2,
  SUM(a.concurrent_viewers_3) AS concurrent_viewers_3,
  SUM(a.concurrent_viewers_4) AS concurrent_viewers_4,
  SUM(a.concurrent_viewers_5) AS concurrent_viewers_5
FROM added AS a
JOIN facts_dimensions AS d
  ON d.content_id = a.content_id
  AND d.cdn = a.cdn
  AND d.device_type = a.device_type
  AND d.player_name = a.player_name
  AND d.player_version = a.player_version
  AND d.country = a.country
GROUP BY a.minute_ms, d.dimension_key
