-- What counts once, in the minute of the event or end that it belongs to, under the CDN in force
-- after it.
-- Events, and what the first, the attempt, the start, a stall or an end by an event counts.
SELECT
  v.incarnation_key,
  v.part,
  v.cdn_set,
  v.session_time_ms - MOD(v.session_time_ms, 60000) AS minute_ms,
  v.events,
  IF(v.begins_part, 1, 0) AS sessions,
  IF(v.seq = m.attempt_seq, 1, 0) AS attempts,
  IF(v.seq = m.play_seq, 1, 0) AS plays,
  IF(v.seq = m.play_seq, m.startup_ms, NULL) AS startup_ms,
  IF(v.state_set = 'stalled', 1, 0) AS stalls,
  IF(v.is_end AND v.seq = m.end_seq, m.ebvs, 0) AS ebvs,
  IF(v.is_end AND v.seq = m.end_seq, m.ebvs_long, 0) AS ebvs_long,
  IF(v.is_end AND v.seq = m.end_seq, m.vsf, 0) AS vsf,
  IF(v.is_end AND v.seq = m.end_seq, m.vpf, 0) AS vpf,
  IF(v.is_end AND v.seq = m.end_seq, m.ended_play, 0) AS ended_plays,
  IF(v.is_end AND v.seq = m.end_seq, m.failed, 0) AS failures,
  0 AS lost
FROM facts_intervals AS v
JOIN facts_parts AS m ON m.incarnation_key = v.incarnation_key AND m.part = v.part
UNION ALL
-- The first end, where no event brought it: at the last event, or at the next part's first.
SELECT
  v.incarnation_key,
  v.part,
  v.cdn_set,
  v.until_ms - MOD(v.until_ms, 60000) AS minute_ms,
  0 AS events,
  0 AS sessions,
  0 AS attempts,
  0 AS plays,
  NULL AS startup_ms,
  0 AS stalls,
  m.ebvs AS ebvs,
  m.ebvs_long AS ebvs_long,
  m.vsf AS vsf,
  m.vpf AS vpf,
  m.ended_play AS ended_plays,
  m.failed AS failures,
  0 AS lost
FROM facts_intervals AS v
JOIN facts_parts AS m ON m.incarnation_key = v.incarnation_key AND m.part = v.part
WHERE v.ends_by IS NOT NULL AND v.seq = m.end_seq
UNION ALL
-- Lost events, where the last applied event was.
SELECT
  v.incarnation_key,
  v.part,
  v.cdn_set,
  v.session_time_ms - MOD(v.session_time_ms, 60000) AS minute_ms,
  0 AS events,
  0 AS sessions,
  0 AS attempts,
  0 AS plays,
  NULL AS startup_ms,
  0 AS stalls,
  0 AS ebvs,
  0 AS ebvs_long,
  0 AS vsf,
  0 AS vpf,
  0 AS ended_plays,
  0 AS failures,
  o.lost
FROM facts_closes AS o
JOIN facts_intervals AS v ON v.incarnation_key = o.incarnation_key AND v.seq = o.last_seq
