-- The settings in force after each point, whether the part is over there, and the *mark* that the
-- event leaves: the state that it brings about whatever the state was within the run of states
-- between two ends. A part is over from an end, or from a silence beyond the time-out, until a
-- request opens it again; each of the three is decided by the last of them. Idle ends with the first
-- request or start of the part. Rate, rendition and CDN start anew with a part; '' stands for the
-- CDN of the part's own context, -1 for a bitrate that is not known.
WITH settings AS (
  SELECT
    *,
    CASE
      WHEN type = 'cdnUpdate' THEN event_cdn
      WHEN begins_part THEN ''
    END AS cdn_set,
    CASE
      WHEN type = 'playbackRateUpdate'
        THEN LEAST(GREATEST(CAST(ROUND(playback_rate * 1000) AS INT64), 1), 16000)
      WHEN begins_part THEN 1000
    END AS rate_set,
    CASE
      WHEN type = 'renditionUpdate' AND video_bitrate_kbps IS NOT NULL THEN video_bitrate_kbps
      WHEN begins_part THEN -1
    END AS video_set,
    CASE
      WHEN type = 'renditionUpdate' AND audio_bitrate_kbps IS NOT NULL THEN audio_bitrate_kbps
      WHEN begins_part THEN -1
    END AS audio_set,
    CASE
      WHEN type IN ('playbackFinish', 'sessionEnd', 'playbackFail') THEN TRUE
      WHEN type = 'playbackRequest' OR begins_part THEN FALSE
      WHEN silent_before THEN TRUE
    END AS over_set,
    IF(type IN ('playbackRequest', 'playbackStart'), seq, NULL) AS leaves_idle_seq,
    IF(begins_part, seq, NULL) AS part_seq
  FROM facts_points
),
in_force AS (
  SELECT
    incarnation_key,
    seq,
    type,
    startup_ms,
    begins_part,
    is_clamped,
    is_raised,
    silent_before,
    silent_after,
    session_time_ms,
    LEAD(session_time_ms) OVER in_order AS next_time_ms,
    LEAD(begins_part) OVER in_order AS part_ends,
    COALESCE(LEAD(event_number) OVER in_order - event_number, 1) AS events,
    COUNT(IF(begins_part, 1, NULL)) OVER so_far - 1 AS part,
    MAX(part_seq) OVER so_far AS part_seq,
    LAST_VALUE(cdn_set IGNORE NULLS) OVER so_far AS cdn_set,
    LAST_VALUE(rate_set IGNORE NULLS) OVER so_far AS rate_milli,
    LAST_VALUE(video_set IGNORE NULLS) OVER so_far AS video_kbps,
    LAST_VALUE(audio_set IGNORE NULLS) OVER so_far AS audio_kbps,
    LAST_VALUE(over_set IGNORE NULLS) OVER before AS was_over,
    MAX(leaves_idle_seq) OVER before AS left_idle_seq
  FROM settings
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
),
met AS (
  SELECT
    *,
    NOT begins_part AND (silent_before OR was_over) AS met_over,
    begins_part OR left_idle_seq IS NULL OR left_idle_seq < part_seq AS never_left_idle
  FROM in_force
)
SELECT
  *,
  CASE
    WHEN met_over AND type = 'playbackRequest' THEN 'starting'
    WHEN met_over THEN IF(was_over, NULL, 'ended')
    WHEN type = 'playbackFail' THEN 'failed'
    WHEN type IN ('playbackFinish', 'sessionEnd') THEN 'ended'
    WHEN type = 'playbackStart' THEN 'playing'
    WHEN type = 'playbackPause' AND NOT never_left_idle THEN 'paused'
    WHEN type = 'playbackRequest' AND never_left_idle THEN 'starting'
    WHEN begins_part THEN 'idle'
  END AS mark,
  CASE
    WHEN met_over THEN IF(was_over OR type = 'playbackRequest', NULL, 'timeout')
    WHEN type = 'playbackFinish' THEN 'finish'
    WHEN type = 'sessionEnd' THEN 'sessionEnd'
    WHEN type = 'playbackFail' THEN 'fail'
  END AS end_reason_set
FROM met
