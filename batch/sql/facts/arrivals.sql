-- Facts of arrival of the minutes to compute, from frames before any dedup: by the minute of
-- `received_at_ms` and the frame's own context. The live view counts them only while the minute is
-- open at their record: minutes close after a record, so the watermark before it decides.
WITH arrived AS (
  SELECT
    log_partition, log_offset, received_date, bytes, watermark_before_ms, content_id, cdn,
    device_type, player_name, player_version, country,
    received_at_ms - MOD(received_at_ms, 60000) AS minute_ms
  FROM frames
  UNION ALL
  SELECT
    log_partition, log_offset, received_date, bytes, watermark_before_ms, content_id, cdn,
    device_type, player_name, player_version, country,
    received_at_ms - MOD(received_at_ms, 60000) AS minute_ms
  FROM facts_restored_frames
)
SELECT
  a.minute_ms,
  COALESCE(a.content_id, 'unknown') AS content_id,
  COALESCE(a.cdn, 'unknown') AS cdn,
  COALESCE(a.device_type, 'unknown') AS device_type,
  COALESCE(a.player_name, 'unknown') AS player_name,
  COALESCE(a.player_version, 'unknown') AS player_version,
  COALESCE(a.country, 'unknown') AS country,
  COUNT(*) AS frames,
  SUM(a.bytes) AS bytes,
  SUM(COALESCE(d.copies, 0)) AS duplicates
FROM arrived AS a
JOIN facts_touched_minutes AS m
  ON m.minute_date = a.received_date AND m.minute_ms = a.minute_ms
LEFT JOIN facts_duplicates AS d
  ON d.log_partition = a.log_partition AND d.log_offset = a.log_offset
CROSS JOIN facts_parameters AS p
WHERE NOT p.open_minutes_only
  OR a.watermark_before_ms IS NULL
  OR a.watermark_before_ms <= a.minute_ms + 60000 + p.pane_life_ms
GROUP BY
  a.minute_ms,
  COALESCE(a.content_id, 'unknown'),
  COALESCE(a.cdn, 'unknown'),
  COALESCE(a.device_type, 'unknown'),
  COALESCE(a.player_name, 'unknown'),
  COALESCE(a.player_version, 'unknown'),
  COALESCE(a.country, 'unknown')
