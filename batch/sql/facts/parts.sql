-- The metrics of each part. Which event was the first request, start or end is told by its seq;
-- what an end that no event brought says counts with the point before it. The first end decides what
-- the part was.
WITH told AS (
  SELECT
    *,
    until_ms - session_time_ms AS interval_ms,
    IF(state = 'playing', (until_ms - session_time_ms) * rate_milli, 0) AS interval_media_us,
    IF(
      type = 'playbackRequest'
        OR (met_idle AND type IN ('playbackStart', 'playbackFail')),
      seq, NULL
    ) AS attempt_seq,
    IF(state_set = 'playing', seq, NULL) AS play_seq,
    IF(is_end OR ends_by IS NOT NULL, seq, NULL) AS end_seq,
    COALESCE(ends_by, end_reason) AS reason,
    watched_before_ms + IF(is_watched, until_ms - session_time_ms, 0) AS watched_after_ms
  FROM facts_intervals
),
parts AS (
  SELECT
    incarnation_key,
    part,
    MIN(seq) AS first_seq,
    MIN(session_time_ms) AS first_event_time_ms,
    MAX(session_time_ms) AS last_event_time_ms,
    SUM(events) AS events,
    MAX_BY(IF(ends_by IS NULL, state, 'ended'), seq) AS state,
    MAX_BY(IF(is_over OR ends_by IS NOT NULL, reason, ''), seq) AS end_reason,
    MIN(attempt_seq) AS attempt_seq,
    MIN(play_seq) AS play_seq,
    MIN(end_seq) AS end_seq,
    MIN_BY(IF(is_end AND state_set = 'failed', 1, 0), end_seq) AS failed,
    MIN_BY(watched_after_ms, end_seq) AS watched_at_end_ms,
    MIN_BY(met_idle, play_seq) AS started_idle,
    MIN_BY(watched_before_ms, play_seq) AS watched_at_start_ms,
    MIN(watched_before_ms) AS watched_before_ms,
    MIN_BY(
      startup_ms, IF(type = 'playbackStart' AND startup_ms IS NOT NULL, seq, NULL)
    ) AS player_startup_ms,
    COUNTIF(state_set = 'stalled') AS stall_count,
    SUM(IF(state = 'stalled', interval_ms, 0)) AS stall_ms,
    SUM(IF(state = 'playing', interval_ms, 0)) AS playing_ms,
    SUM(IF(is_watched, interval_ms, 0)) AS watched_ms,
    SUM(interval_media_us) AS media_us,
    SUM(IF(video_kbps >= 0 OR audio_kbps >= 0, interval_media_us, 0)) AS rated_media_us,
    SUM((GREATEST(video_kbps, 0) + GREATEST(audio_kbps, 0)) * interval_media_us) AS bits_played,
    COUNTIF(
      CASE
        WHEN type = 'playbackRequest'
          THEN NOT met_over AND state_at_last IN ('starting', 'playing', 'stalled', 'seeking')
        WHEN type = 'playbackStart' THEN met_over OR state_at_last = 'playing'
        WHEN type = 'playbackPause' THEN met_over OR state_at_last IN ('idle', 'paused')
        WHEN type = 'playbackStall' THEN met_over OR state_at_last NOT IN ('starting', 'playing')
        WHEN type = 'seekStart' THEN met_over OR state_at_last IN ('idle', 'seeking')
        WHEN type IN ('playbackFinish', 'sessionEnd', 'playbackFail') THEN met_over
        ELSE FALSE
      END
    ) AS repairs_state,
    COUNTIF(is_raised) AS repairs_backwards,
    COUNTIF(is_clamped) AS repairs_clamped
  FROM told
  GROUP BY incarnation_key, part
)
SELECT
  incarnation_key,
  part,
  first_seq,
  first_event_time_ms,
  last_event_time_ms,
  events,
  state,
  NULLIF(end_reason, '') AS end_reason,
  attempt_seq,
  play_seq,
  end_seq,
  IF(attempt_seq IS NULL, 0, 1) AS attempt,
  IF(play_seq IS NULL, 0, 1) AS play,
  IF(failed = 0 AND attempt_seq <= end_seq AND (play_seq IS NULL OR play_seq > end_seq), 1, 0)
    AS ebvs,
  IF(
    failed = 0 AND attempt_seq <= end_seq AND (play_seq IS NULL OR play_seq > end_seq)
      AND watched_at_end_ms - watched_before_ms >= 1000,
    1, 0
  ) AS ebvs_long,
  IF(failed = 1 AND (play_seq IS NULL OR play_seq > end_seq), 1, 0) AS vsf,
  IF(failed = 1 AND play_seq <= end_seq, 1, 0) AS vpf,
  IF(play_seq <= end_seq, 1, 0) AS ended_play,
  COALESCE(failed, 0) AS failed,
  IF(started_idle, NULL, watched_at_start_ms - watched_before_ms) AS startup_ms,
  player_startup_ms,
  stall_count,
  stall_ms,
  playing_ms,
  watched_ms,
  media_us,
  rated_media_us,
  bits_played,
  repairs_state,
  repairs_backwards,
  repairs_clamped
FROM parts
