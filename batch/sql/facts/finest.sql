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
  minute_ms, content_id, cdn, device_type, player_name, player_version, country,
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
FROM added
GROUP BY minute_ms, content_id, cdn, device_type, player_name, player_version, country
