-- The earliest day on which a copy may have arrived that decides about a copy in `staging_copies`:
-- those of the incarnations that are still kept.
WITH staged AS (
  SELECT session_id, MIN(watermark_ms) AS watermark_ms
  FROM staging_copies
  GROUP BY session_id
),
days AS (
  SELECT MIN(s.first_received_date) AS first_date
  FROM sessions AS s
  JOIN staged AS g ON g.session_id = s.session_id
  CROSS JOIN facts_parameters AS p
  WHERE g.watermark_ms <= s.last_logged_at_ms + p.session_timeout_ms + p.session_keep_ms
  UNION ALL
  SELECT from_date AS first_date
  FROM facts_parameters
)
SELECT CAST(MIN(first_date) AS STRING) AS from_date
FROM days
