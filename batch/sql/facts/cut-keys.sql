-- The key of each combination of dimensions in each cut, as an integer and as its values; '' stands
-- for a dimension that the cut does not have.
WITH keyed AS (
  SELECT
    d.dimension_key,
    k.cut,
    k.viewers,
    IF(k.by_content_id, d.content_id, '') AS content_id,
    IF(k.by_cdn, d.cdn, '') AS cdn,
    IF(k.by_device_type, d.device_type, '') AS device_type,
    IF(k.by_player_name, d.player_name, '') AS player_name,
    IF(k.by_player_version, d.player_version, '') AS player_version,
    IF(k.by_country, d.country, '') AS country
  FROM facts_dimensions AS d
  CROSS JOIN facts_cuts AS k
)
SELECT
  *,
  DENSE_RANK() OVER (
    ORDER BY cut, content_id, cdn, device_type, player_name, player_version, country
  ) AS cut_key
FROM keyed
