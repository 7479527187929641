-- All session minutes of the minutes to compute: those computed now, and those of other sessions, or of
-- earlier incarnations, as they stand in the warehouse.
SELECT
  minute_ms, content_id, cdn, device_type, player_name, player_version, country, sessions, attempts,
  plays, ebvs, ebvs_long, vsf, vpf, ended_plays, failures, stalls, stall_ms, playing_ms, watched_ms,
  media_us, rated_media_us, events, lost, bits_played, startup_ms, viewer_register, viewer_rank,
  concurrent_plays_0, concurrent_plays_1, concurrent_plays_2, concurrent_plays_3,
  concurrent_plays_4, concurrent_plays_5, concurrent_viewers_0, concurrent_viewers_1,
  concurrent_viewers_2, concurrent_viewers_3, concurrent_viewers_4, concurrent_viewers_5
FROM facts_session_minute_rows
WHERE minute_ms IN (SELECT minute_ms FROM facts_touched_minutes)
UNION ALL
SELECT
  m.minute_ms, m.content_id, m.cdn, m.device_type, m.player_name, m.player_version, m.country,
  m.sessions, m.attempts, m.plays, m.ebvs, m.ebvs_long, m.vsf, m.vpf, m.ended_plays, m.failures,
  m.stalls, m.stall_ms, m.playing_ms, m.watched_ms, m.media_us, m.rated_media_us, m.events, m.lost,
  m.bits_played, m.startup_ms, m.viewer_register, m.viewer_rank, m.concurrent_plays_0,
  m.concurrent_plays_1, m.concurrent_plays_2, m.concurrent_plays_3, m.concurrent_plays_4,
  m.concurrent_plays_5, m.concurrent_viewers_0, m.concurrent_viewers_1, m.concurrent_viewers_2,
  m.concurrent_viewers_3, m.concurrent_viewers_4, m.concurrent_viewers_5
FROM session_minutes AS m
JOIN facts_touched_minutes AS t ON t.minute_date = m.minute_date AND t.minute_ms = m.minute_ms
LEFT JOIN facts_all_touched AS a
  ON a.session_id = m.session_id AND a.incarnation <= m.incarnation
WHERE a.session_id IS NULL
