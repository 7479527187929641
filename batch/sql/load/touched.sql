-- The sessions of which copies are staged, with the incarnation that other runs know to be the latest
-- where the first of them stands in the log. Runs may have loaded what comes after it: an archived
-- range that is loaded again is numbered by what stood before it. Where nothing did, or a session has
-- changed its partition, it is the latest of all. Of a session whose copies waited, those of several
-- runs are staged at once: no copy of it that is loaded is of a run between these.
WITH known AS (
  SELECT session_id, incarnation, received_date, run
  FROM events
  UNION ALL
  SELECT session_id, incarnation, received_date, run
  FROM event_copies
),
staged AS (
  SELECT
    session_id,
    MIN(log_offset) AS first_offset,
    MIN(run) AS first_run,
    MAX(run) AS last_run
  FROM staging_copies
  GROUP BY session_id
),
latest AS (
  SELECT
    g.session_id,
    COALESCE(
      MAX(IF(k.incarnation <= g.first_offset, k.incarnation, NULL)),
      MAX(k.incarnation)
    ) AS incarnation
  FROM staged AS g
  JOIN known AS k ON k.session_id = g.session_id
  WHERE k.received_date >= CAST(@from_date AS DATE)
    AND k.run NOT BETWEEN g.first_run AND g.last_run
  GROUP BY g.session_id
)
SELECT
  g.session_id,
  g.first_run,
  g.last_run,
  COALESCE(l.incarnation, -1) AS incarnation,
  ROW_NUMBER() OVER (ORDER BY g.session_id) AS session_key
FROM staged AS g
LEFT JOIN latest AS l ON l.session_id = g.session_id
