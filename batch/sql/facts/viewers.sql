-- Registers of distinct viewers of the minutes to compute, in the cuts that keep them, as canonical
-- text.
WITH finest AS (
  SELECT d.dimension_key, s.minute_ms, s.viewer_register, MAX(s.viewer_rank) AS viewer_rank
  FROM facts_minutes AS s
  JOIN facts_dimensions AS d
    ON d.content_id = s.content_id
    AND d.cdn = s.cdn
    AND d.device_type = s.device_type
    AND d.player_name = s.player_name
    AND d.player_version = s.player_version
    AND d.country = s.country
  WHERE s.viewer_register IS NOT NULL
  GROUP BY d.dimension_key, s.minute_ms, s.viewer_register
),
registers AS (
  SELECT k.cut_key, f.minute_ms, f.viewer_register, MAX(f.viewer_rank) AS viewer_rank
  FROM finest AS f
  JOIN facts_cut_keys AS k ON k.dimension_key = f.dimension_key
  WHERE k.viewers
  GROUP BY k.cut_key, f.minute_ms, f.viewer_register
)
SELECT
  cut_key,
  minute_ms,
  STRING_AGG(
    CAST(viewer_register AS STRING) || ':' || CAST(viewer_rank AS STRING),
    ',' ORDER BY viewer_register
  ) AS viewer_registers
FROM registers
GROUP BY cut_key, minute_ms
