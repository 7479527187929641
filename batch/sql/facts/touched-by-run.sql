-- The incarnations that a run may change, from the earliest of each session on: those of which it
-- loaded a copy, and those that were open and that the watermark at the cut closes. What the run has
-- closed already, before it was cut off, it closes again.
WITH touched AS (
  SELECT e.session_id, e.incarnation, e.session_bucket
  FROM events AS e
  CROSS JOIN facts_parameters AS p
  WHERE e.received_date >= p.from_date AND e.run = p.run
  UNION DISTINCT
  SELECT c.session_id, c.incarnation, c.session_bucket
  FROM event_copies AS c
  CROSS JOIN facts_parameters AS p
  WHERE c.received_date >= p.from_date AND c.run = p.run
  UNION DISTINCT
  SELECT s.session_id, s.incarnation, s.session_bucket
  FROM sessions AS s
  JOIN facts_watermarks AS w ON w.log_partition = s.log_partition
  CROSS JOIN facts_parameters AS p
  WHERE (NOT s.closed OR s.run = p.run)
    AND w.watermark_ms > s.last_logged_at_ms + p.session_timeout_ms
)
SELECT session_id, session_bucket, MIN(incarnation) AS incarnation
FROM touched
GROUP BY session_id, session_bucket
