-- How many copies wait, how many of them no settling has loaded, and the earliest day on which anything of
-- their sessions arrived.
WITH days AS (
  SELECT COUNT(*) AS copies, SUM(IF(is_loaded, 0, 1)) AS missing, MIN(received_date) AS first_date
  FROM reconcile_late_copies
  UNION ALL
  SELECT 0 AS copies, 0 AS missing, MIN(s.first_received_date) AS first_date
  FROM sessions AS s
  WHERE s.session_id IN (SELECT session_id FROM reconcile_late_copies)
)
SELECT
  SUM(copies) AS copies,
  SUM(missing) AS missing,
  CAST(MIN(first_date) AS STRING) AS from_date
FROM days
