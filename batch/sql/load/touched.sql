-- The sessions of which copies are staged, with the latest incarnation that earlier runs know of.
WITH known AS (
  SELECT session_id, incarnation, received_date, run
  FROM events
  UNION ALL
  SELECT session_id, incarnation, received_date, run
  FROM event_copies
),
staged AS (
  SELECT DISTINCT session_id
  FROM staging_copies
),
latest AS (
  SELECT g.session_id, MAX(k.incarnation) AS incarnation
  FROM staged AS g
  JOIN known AS k ON k.session_id = g.session_id
  CROSS JOIN facts_parameters AS p
  WHERE k.received_date >= p.from_date AND k.run <> p.run
  GROUP BY g.session_id
)
SELECT
  g.session_id,
  COALESCE(l.incarnation, -1) AS incarnation,
  ROW_NUMBER() OVER (ORDER BY g.session_id) AS session_key
FROM staged AS g
LEFT JOIN latest AS l ON l.session_id = g.session_id
