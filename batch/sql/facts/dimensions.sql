-- An integer for each combination of dimensions that the minutes to compute have, so that what follows
-- sorts and hashes no text.
WITH combinations AS (
  SELECT content_id, cdn, device_type, player_name, player_version, country
  FROM facts_minutes
  UNION DISTINCT
  SELECT content_id, cdn, device_type, player_name, player_version, country
  FROM facts_arrivals
)
SELECT
  ROW_NUMBER() OVER (
    ORDER BY content_id, cdn, device_type, player_name, player_version, country
  ) AS dimension_key,
  content_id, cdn, device_type, player_name, player_version, country
FROM combinations
