-- Start-up histograms of the minutes to compute, in every cut, as canonical text. The bucket of a
-- value is itself below 128; above, 64 buckets to each power of two: the position of the highest bit
-- is found by comparison, never by a logarithm.
WITH clamped AS (
  SELECT *, LEAST(GREATEST(startup_ms, 0), 134217727) AS held_ms
  FROM facts_minutes
  WHERE startup_ms IS NOT NULL
),
measured AS (
  SELECT
    *,
    CASE
      WHEN held_ms < 256 THEN 7
      WHEN held_ms < 512 THEN 8
      WHEN held_ms < 1024 THEN 9
      WHEN held_ms < 2048 THEN 10
      WHEN held_ms < 4096 THEN 11
      WHEN held_ms < 8192 THEN 12
      WHEN held_ms < 16384 THEN 13
      WHEN held_ms < 32768 THEN 14
      WHEN held_ms < 65536 THEN 15
      WHEN held_ms < 131072 THEN 16
      WHEN held_ms < 262144 THEN 17
      WHEN held_ms < 524288 THEN 18
      WHEN held_ms < 1048576 THEN 19
      WHEN held_ms < 2097152 THEN 20
      WHEN held_ms < 4194304 THEN 21
      WHEN held_ms < 8388608 THEN 22
      WHEN held_ms < 16777216 THEN 23
      WHEN held_ms < 33554432 THEN 24
      WHEN held_ms < 67108864 THEN 25
      ELSE 26
    END AS highest_bit
  FROM clamped
),
counted AS (
  SELECT
    k.cut_key,
    s.minute_ms,
    IF(
      s.held_ms < 128, s.held_ms, 64 * (s.highest_bit - 6) + (s.held_ms >> (s.highest_bit - 6))
    ) AS bucket,
    COUNT(*) AS startups
  FROM measured AS s
  JOIN facts_dimensions AS d
    ON d.content_id = s.content_id
    AND d.cdn = s.cdn
    AND d.device_type = s.device_type
    AND d.player_name = s.player_name
    AND d.player_version = s.player_version
    AND d.country = s.country
  JOIN facts_cut_keys AS k ON k.dimension_key = d.dimension_key
  GROUP BY 1, 2, 3
)
SELECT
  cut_key,
  minute_ms,
  STRING_AGG(
    CAST(bucket AS STRING) || ':' || CAST(startups AS STRING), ',' ORDER BY bucket
  ) AS startup_histogram
FROM counted
GROUP BY cut_key, minute_ms
