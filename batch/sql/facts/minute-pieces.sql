-- What each interval adds to each minute that it reaches into: its time there, and whether the part
-- is a concurrent play and viewer at each instant of the minute that lies in the interval: a bit for
-- each of the six instants, so that the masks of a part's intervals add up. An interval is no longer than the time-out, so a small table of numbers gives its minutes.
WITH pieces AS (
  SELECT
    v.incarnation_key,
    v.part,
    v.cdn_set,
    v.state,
    v.is_watched,
    v.played,
    v.rate_milli,
    v.video_kbps,
    v.audio_kbps,
    v.stalled_since_ms,
    v.session_time_ms - MOD(v.session_time_ms, 60000) + n.number * 60000 AS minute_ms,
    v.session_time_ms AS from_ms,
    v.until_ms
  FROM facts_intervals AS v
  JOIN facts_numbers AS n
    ON v.session_time_ms - MOD(v.session_time_ms, 60000) + n.number * 60000 < v.until_ms
  WHERE v.session_time_ms < v.until_ms AND (v.is_watched OR (v.played AND NOT v.is_over))
),
cut AS (
  SELECT
    *,
    IF(from_ms > minute_ms, from_ms - minute_ms, 0) AS starts,
    IF(until_ms < minute_ms + 60000, until_ms - minute_ms, 60000) AS ends,
    -- Until when, from the minute's start, the part counts as a viewer.
    CASE
      WHEN state = 'stalled' THEN stalled_since_ms + p.stalled_viewer_ms - minute_ms
      WHEN is_watched THEN 60000
      ELSE -1
    END AS viewer_until
  FROM pieces
  CROSS JOIN facts_parameters AS p
)
SELECT
  incarnation_key,
  part,
  cdn_set,
  minute_ms,
  IF(is_watched, ends - starts, 0) AS watched_ms,
  IF(state = 'playing', ends - starts, 0) AS playing_ms,
  IF(state = 'stalled', ends - starts, 0) AS stall_ms,
  IF(state = 'playing', (ends - starts) * rate_milli, 0) AS media_us,
  IF(
    state = 'playing' AND (video_kbps >= 0 OR audio_kbps >= 0), (ends - starts) * rate_milli, 0
  ) AS rated_media_us,
  IF(
    state = 'playing',
    (GREATEST(video_kbps, 0) + GREATEST(audio_kbps, 0)) * (ends - starts) * rate_milli,
    0
  ) AS bits_played,
  IF(played AND starts <= 0 AND ends > 0, 1, 0)
    + IF(played AND starts <= 10000 AND ends > 10000, 2, 0)
    + IF(played AND starts <= 20000 AND ends > 20000, 4, 0)
    + IF(played AND starts <= 30000 AND ends > 30000, 8, 0)
    + IF(played AND starts <= 40000 AND ends > 40000, 16, 0)
    + IF(played AND starts <= 50000 AND ends > 50000, 32, 0)
    AS plays_mask,
  IF(viewer_until >= 0 AND starts <= 0 AND ends > 0, 1, 0)
    + IF(viewer_until >= 10000 AND starts <= 10000 AND ends > 10000, 2, 0)
    + IF(viewer_until >= 20000 AND starts <= 20000 AND ends > 20000, 4, 0)
    + IF(viewer_until >= 30000 AND starts <= 30000 AND ends > 30000, 8, 0)
    + IF(viewer_until >= 40000 AND starts <= 40000 AND ends > 40000, 16, 0)
    + IF(viewer_until >= 50000 AND starts <= 50000 AND ends > 50000, 32, 0)
    AS viewers_mask
FROM cut
