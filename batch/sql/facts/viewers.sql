-- Registers of distinct viewers of the minutes to compute, in the cuts that keep them, as canonical
-- text.
WITH registers AS (
  SELECT
    k.cut,
    s.minute_ms,
    IF(k.by_content_id, s.content_id, '') AS key_content_id,
    IF(k.by_cdn, s.cdn, '') AS key_cdn,
    IF(k.by_device_type, s.device_type, '') AS key_device_type,
    IF(k.by_player_name, s.player_name, '') AS key_player_name,
    IF(k.by_player_version, s.player_version, '') AS key_player_version,
    IF(k.by_country, s.country, '') AS key_country,
    s.viewer_register,
    MAX(s.viewer_rank) AS viewer_rank
  FROM facts_minutes AS s
  CROSS JOIN facts_cuts AS k
  WHERE s.viewer_register IS NOT NULL AND k.viewers
  GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
)
SELECT
  cut, minute_ms, key_content_id, key_cdn, key_device_type, key_player_name, key_player_version,
  key_country,
  STRING_AGG(
    CAST(viewer_register AS STRING) || ':' || CAST(viewer_rank AS STRING),
    ',' ORDER BY viewer_register
  ) AS viewer_registers
FROM registers
GROUP BY
  cut, minute_ms, key_content_id, key_cdn, key_device_type, key_player_name, key_player_version,
  key_country
