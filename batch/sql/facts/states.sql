-- The state after each point. Between two ends, the last start or pause decides; after a start, the
-- first stall or seek that follows decides between playing, stalled and seeking; a request moves a
-- pause to starting, and nothing else that is not idle.
WITH marked AS (
  SELECT
    *,
    CASE type WHEN 'playbackStall' THEN 'stalled' WHEN 'seekStart' THEN 'seeking' END AS halt
  FROM facts_marks
),
followed AS (
  SELECT
    *,
    LAST_VALUE(COALESCE(mark, halt) IGNORE NULLS) OVER before AS mark_or_halt_before,
    LAST_VALUE(mark IGNORE NULLS) OVER before AS mark_before
  FROM marked
  WINDOW before AS (
    PARTITION BY incarnation_key ORDER BY seq
    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
  )
),
changed AS (
  SELECT
    *,
    CASE
      WHEN mark IS NOT NULL THEN mark
      WHEN mark_or_halt_before = 'playing' THEN halt
      WHEN mark_before = 'paused' AND type = 'playbackRequest' THEN 'starting'
    END AS state_set
  FROM followed
)
SELECT
  c.incarnation_key,
  c.part,
  c.seq,
  c.type,
  c.startup_ms,
  c.begins_part,
  c.part_ends,
  c.is_clamped,
  c.is_raised,
  c.silent_after,
  c.session_time_ms,
  c.next_time_ms,
  c.events,
  c.cdn_set,
  c.rate_milli,
  c.video_kbps,
  c.audio_kbps,
  c.met_over,
  c.never_left_idle,
  c.state_set,
  LAST_VALUE(c.state_set IGNORE NULLS) OVER so_far AS state,
  IF(c.begins_part, 'idle', LAST_VALUE(c.state_set IGNORE NULLS) OVER before) AS state_at_last,
  LAST_VALUE(c.end_reason_set IGNORE NULLS) OVER so_far AS end_reason,
  MAX(IF(c.state_set = 'stalled', c.session_time_ms, NULL)) OVER so_far AS stalled_since_ms,
  COALESCE(MAX(IF(c.state_set = 'playing', c.part, NULL)) OVER so_far = c.part, FALSE) AS played
FROM changed AS c
WINDOW
  so_far AS (
    PARTITION BY c.incarnation_key ORDER BY c.seq
    ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
  ),
  before AS (
    PARTITION BY c.incarnation_key ORDER BY c.seq
    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
  )
