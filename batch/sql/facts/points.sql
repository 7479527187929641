-- The applied events on the clock of their session, in seq order; kept are the *points*: the events
-- at which anything may change (state, settings, part, minute), those on either side of a
-- silence beyond the time-out, and those whose time was repaired. All events from one point to the next lie in one minute, one part
-- and one state, so that a point can stand for those that follow it; `event_number` counts them.
--
-- Corrected time is `at` + the incarnation's offset, or the frame's own when the two are further
-- apart than `clock_step_ms`, held within what is possible at its arrival. Session time is the
-- largest corrected time so far.
WITH corrected AS (
  SELECT
    e.incarnation_key,
    e.seq,
    e.type,
    e.event_cdn,
    e.playback_rate,
    e.video_bitrate_kbps,
    e.audio_bitrate_kbps,
    e.startup_ms,
    e.at_ms + IF(
      ABS(e.clock_offset_ms - i.clock_offset_ms) > p.clock_step_ms,
      e.clock_offset_ms,
      i.clock_offset_ms
    ) AS corrected_ms,
    e.received_at_ms - p.max_age_ms AS earliest_ms,
    e.received_at_ms + p.clock_step_ms AS latest_ms,
    c.seq IS NOT NULL AS changes_content
  FROM facts_identities AS e
  JOIN facts_incarnations AS i ON i.incarnation_key = e.incarnation_key
  LEFT JOIN facts_content_changes AS c
    ON c.incarnation_key = e.incarnation_key AND c.seq = e.seq
  CROSS JOIN facts_parameters AS p
  WHERE e.winner AND e.accepted AND NOT e.excluded
),
clamped AS (
  SELECT
    *,
    LEAST(GREATEST(corrected_ms, earliest_ms), latest_ms) AS clamped_ms
  FROM corrected
),
timed AS (
  SELECT
    incarnation_key,
    seq,
    type,
    event_cdn,
    playback_rate,
    video_bitrate_kbps,
    audio_bitrate_kbps,
    startup_ms,
    changes_content,
    clamped_ms <> corrected_ms AS is_clamped,
    clamped_ms,
    MAX(clamped_ms) OVER so_far AS session_time_ms,
    MAX(clamped_ms) OVER before AS time_before_ms,
    LEAD(clamped_ms) OVER in_order AS clamped_after_ms,
    LEAD(changes_content) OVER in_order AS changes_content_after,
    ROW_NUMBER() OVER in_order AS event_number
  FROM clamped
  WINDOW
    in_order AS (PARTITION BY incarnation_key ORDER BY seq),
    so_far AS (
      PARTITION BY incarnation_key ORDER BY seq
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ),
    before AS (
      PARTITION BY incarnation_key ORDER BY seq
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    )
)
SELECT
  t.incarnation_key,
  t.seq,
  t.type,
  t.event_cdn,
  t.playback_rate,
  t.video_bitrate_kbps,
  t.audio_bitrate_kbps,
  t.startup_ms,
  t.changes_content OR t.event_number = 1 AS begins_part,
  t.session_time_ms,
  t.event_number,
  t.is_clamped,
  t.time_before_ms IS NOT NULL AND t.clamped_ms < t.time_before_ms AS is_raised,
  t.time_before_ms IS NOT NULL
    AND t.session_time_ms - t.time_before_ms > p.session_timeout_ms AS silent_before,
  t.clamped_after_ms IS NOT NULL
    AND t.clamped_after_ms - t.session_time_ms > p.session_timeout_ms AS silent_after
FROM timed AS t
CROSS JOIN facts_parameters AS p
WHERE t.time_before_ms IS NULL
  OR t.clamped_after_ms IS NULL
  OR t.changes_content
  OR t.changes_content_after
  OR t.is_clamped
  OR t.clamped_ms < t.time_before_ms
  OR t.session_time_ms - t.time_before_ms > p.session_timeout_ms
  OR t.clamped_after_ms - t.session_time_ms > p.session_timeout_ms
  OR t.session_time_ms - MOD(t.session_time_ms, 60000)
    > t.time_before_ms - MOD(t.time_before_ms, 60000)
  OR t.type IN (
    'playbackRequest', 'playbackStart', 'playbackPause', 'playbackStall', 'seekStart',
    'playbackFinish', 'sessionEnd', 'playbackFail',
    'renditionUpdate', 'playbackRateUpdate', 'cdnUpdate'
  )
