-- The rows of `sessions`, a row a part. What counts for the whole incarnation stands on its last
-- part.
WITH lost AS (
  SELECT incarnation_key, SUM(lost) AS lost
  FROM facts_closes
  GROUP BY incarnation_key
),
last_parts AS (
  SELECT incarnation_key, MAX(part) AS last_part
  FROM facts_parts
  GROUP BY incarnation_key
)
SELECT
  i.session_id,
  i.incarnation,
  m.part,
  DATE(TIMESTAMP_MILLIS(m.first_event_time_ms)) AS start_date,
  TIMESTAMP_MILLIS(m.first_event_time_ms) AS first_event_time,
  TIMESTAMP_MILLIS(m.last_event_time_ms) AS last_event_time,
  m.first_event_time_ms,
  m.last_event_time_ms,
  m.state,
  m.end_reason,
  i.closed,
  m.attempt,
  m.play,
  m.ebvs,
  m.ebvs_long,
  m.vsf,
  m.vpf,
  m.ended_play,
  m.failed,
  m.startup_ms,
  m.player_startup_ms,
  m.stall_count,
  m.stall_ms,
  m.playing_ms,
  m.watched_ms,
  m.media_us,
  m.rated_media_us,
  m.bits_played,
  m.events,
  IF(m.part = l.last_part, COALESCE(o.lost, 0), 0) AS lost,
  IF(m.part = l.last_part, i.duplicates, 0) AS duplicates,
  IF(m.part = l.last_part, i.rejected, 0) AS rejected,
  m.repairs_state,
  m.repairs_backwards,
  m.repairs_clamped,
  i.clock_offset_ms,
  i.last_logged_at_ms,
  DATE(TIMESTAMP_MILLIS(i.first_received_at_ms)) AS first_received_date,
  c.content_id,
  c.content_title,
  c.series_id,
  c.stream_type,
  c.streaming_format,
  c.cdn,
  c.viewer_pseudonym,
  c.device_type,
  c.device_make,
  c.device_model,
  c.device_os,
  c.device_os_version,
  c.player_name,
  c.player_version,
  c.app_name,
  c.app_version,
  c.country,
  c.isp,
  c.autoplay,
  c.labels,
  k.valid_from_ms AS catalogue_valid_from_ms,
  k.title AS catalogue_title,
  k.content_type AS catalogue_content_type,
  k.series_id AS catalogue_series_id,
  k.series_title AS catalogue_series_title,
  k.season AS catalogue_season,
  k.episode AS catalogue_episode,
  k.genre AS catalogue_genre,
  k.provider AS catalogue_provider,
  k.language AS catalogue_language,
  k.duration_ms AS catalogue_duration_ms,
  k.release_date AS catalogue_release_date,
  k.labels AS catalogue_labels,
  i.log_partition,
  c.session_bucket,
  p.run
FROM facts_parts AS m
JOIN facts_incarnations AS i ON i.incarnation_key = m.incarnation_key
JOIN last_parts AS l ON l.incarnation_key = m.incarnation_key
JOIN facts_part_contexts AS c ON c.incarnation_key = m.incarnation_key AND c.part = m.part
-- The metadata as it was when the part began; none is no reason to leave a row out.
LEFT JOIN facts_content AS k
  ON k.content_id = c.content_id
  AND k.valid_from_ms <= m.first_event_time_ms
  AND (k.valid_to_ms IS NULL OR m.first_event_time_ms < k.valid_to_ms)
LEFT JOIN lost AS o ON o.incarnation_key = m.incarnation_key
CROSS JOIN facts_parameters AS p
