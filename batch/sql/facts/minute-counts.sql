-- What counts once, in the minute of the event or end that it belongs to, under the CDN in force
-- after it.
WITH happened AS (
  -- Events, and what the first, the attempt, the start, a stall or an end by an event counts.
  SELECT
    v.incarnation_key,
    v.part,
    v.cdn_set,
    v.session_time_ms AS time_ms,
    v.events,
    IF(v.begins_part, 1, 0) AS sessions,
    IF(v.seq = m.attempt_seq, 1, 0) AS attempts,
    IF(v.seq = m.play_seq, 1, 0) AS plays,
    IF(v.seq = m.play_seq, m.startup_ms, NULL) AS startup_ms,
    IF(v.state_set = 'stalled', 1, 0) AS stalls,
    v.is_end AND v.seq = m.end_seq AS first_end,
    0 AS lost
  FROM facts_intervals AS v
  JOIN facts_parts AS m ON m.incarnation_key = v.incarnation_key AND m.part = v.part
  UNION ALL
  -- The first end, where no event brought it: at the last event, or at the next part's first.
  SELECT
    v.incarnation_key,
    v.part,
    v.cdn_set,
    v.until_ms AS time_ms,
    0 AS events,
    0 AS sessions,
    0 AS attempts,
    0 AS plays,
    NULL AS startup_ms,
    0 AS stalls,
    TRUE AS first_end,
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
    v.session_time_ms AS time_ms,
    0 AS events,
    0 AS sessions,
    0 AS attempts,
    0 AS plays,
    NULL AS startup_ms,
    0 AS stalls,
    FALSE AS first_end,
    o.lost
  FROM facts_closes AS o
  JOIN facts_intervals AS v ON v.incarnation_key = o.incarnation_key AND v.seq = o.last_seq
)
SELECT
  h.incarnation_key,
  h.part,
  h.cdn_set,
  h.time_ms - MOD(h.time_ms, 60000) AS minute_ms,
  SUM(h.events) AS events,
  SUM(h.sessions) AS sessions,
  SUM(h.attempts) AS attempts,
  SUM(h.plays) AS plays,
  MAX(h.startup_ms) AS startup_ms,
  SUM(h.stalls) AS stalls,
  SUM(IF(h.first_end, m.ebvs, 0)) AS ebvs,
  SUM(IF(h.first_end, m.ebvs_long, 0)) AS ebvs_long,
  SUM(IF(h.first_end, m.vsf, 0)) AS vsf,
  SUM(IF(h.first_end, m.vpf, 0)) AS vpf,
  SUM(IF(h.first_end, m.ended_play, 0)) AS ended_plays,
  SUM(IF(h.first_end, m.failed, 0)) AS failures,
  SUM(h.lost) AS lost
FROM happened AS h
JOIN facts_parts AS m ON m.incarnation_key = h.incarnation_key AND m.part = h.part
GROUP BY h.incarnation_key, h.part, h.cdn_set, h.time_ms - MOD(h.time_ms, 60000)
