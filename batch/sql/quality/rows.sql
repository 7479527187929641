-- The rows of `data_quality`: every check by player version, and over the whole run. A program that
-- makes up versions gets no rows for them beyond the largest: those are `other`.
WITH placed AS (
  SELECT
    player_name,
    player_version,
    ROW_NUMBER() OVER (ORDER BY SUM(checked) DESC, player_name, player_version) AS place
  FROM quality_counts
  WHERE player_name IS NOT NULL
  GROUP BY player_name, player_version
),
bounded AS (
  SELECT
    c.check_name,
    IF(p.place <= CAST(@versions_max AS INT64), c.player_name, 'other') AS player_name,
    IF(p.place <= CAST(@versions_max AS INT64), c.player_version, 'other') AS player_version,
    c.found,
    c.checked
  FROM quality_counts AS c
  JOIN placed AS p ON p.player_name = c.player_name AND p.player_version = c.player_version
  UNION ALL
  SELECT
    check_name,
    CAST(NULL AS STRING) AS player_name,
    CAST(NULL AS STRING) AS player_version,
    found,
    checked
  FROM quality_counts
),
sums AS (
  SELECT
    check_name,
    player_name,
    player_version,
    CAST(SUM(found) AS INT64) AS found,
    CAST(SUM(checked) AS INT64) AS checked
  FROM bounded
  GROUP BY check_name, player_name, player_version
)
SELECT
  CAST(@run AS INT64) AS run,
  CAST(@run_date AS DATE) AS run_date,
  s.check_name,
  s.player_name,
  s.player_version,
  s.found,
  s.checked,
  SAFE_DIVIDE(s.found, s.checked) AS rate,
  t.threshold,
  COALESCE(
    s.checked >= CAST(@sample_min AS INT64) AND SAFE_DIVIDE(s.found, s.checked) > t.threshold,
    FALSE
  ) AS flagged
FROM sums AS s
LEFT JOIN quality_thresholds AS t ON t.check_name = s.check_name
