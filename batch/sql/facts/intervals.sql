-- The interval from each point to the next, in the state after the point; nothing accrues over a
-- silence beyond the time-out and nothing after the last event. `watched_before_ms` is watched time
-- of the incarnation up to the point; differences of it are watched time of a part. An interval at
-- whose end the part is over without an event says so in `ends_by`: silence, the next part, or the
-- trailing close.
WITH accrued AS (
  SELECT
    s.*,
    s.session_time_ms + IF(s.silent_after OR s.next_time_ms IS NULL,
      0, s.next_time_ms - s.session_time_ms) AS until_ms,
    s.state IN ('starting', 'playing', 'stalled', 'seeking') AS is_watched,
    s.state IN ('ended', 'failed') AS is_over,
    i.closed
  FROM facts_states AS s
  JOIN facts_incarnations AS i ON i.incarnation_key = s.incarnation_key
)
SELECT
  a.*,
  COALESCE(SUM(IF(a.is_watched, a.until_ms - a.session_time_ms, 0)) OVER (
    PARTITION BY a.incarnation_key ORDER BY a.seq
    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
  ), 0) AS watched_before_ms,
  CASE
    WHEN a.is_over THEN NULL
    WHEN a.silent_after THEN 'timeout'
    WHEN a.part_ends THEN 'content'
    WHEN a.next_time_ms IS NULL AND a.closed THEN 'timeout'
  END AS ends_by,
  a.state_set IN ('ended', 'failed') AND NOT a.met_over AS is_end,
  NOT a.met_over AND a.never_left_idle AS met_idle
FROM accrued AS a
