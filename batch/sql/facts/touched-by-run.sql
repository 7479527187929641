-- The incarnations that a run may change, from the earliest of each session on: those of which it
-- loaded a copy, and those that were open and that the watermark at the cut closes. What the run has
-- closed already, before it was cut off, it closes again. A session of which copies wait is not over.
WITH touched AS (
  SELECT e.session_id, e.incarnation, e.session_bucket
  FROM events AS e
  CROSS JOIN facts_parameters AS p
  WHERE e.received_date >= CAST(@from_date AS DATE) AND e.run = p.run
  UNION DISTINCT
  SELECT c.session_id, c.incarnation, c.session_bucket
  FROM event_copies AS c
  CROSS JOIN facts_parameters AS p
  WHERE c.received_date >= CAST(@from_date AS DATE) AND c.run = p.run
  UNION DISTINCT
  SELECT s.session_id, s.incarnation, s.session_bucket
  FROM sessions AS s
  JOIN facts_watermarks AS w ON w.log_partition = s.log_partition
  CROSS JOIN facts_parameters AS p
  WHERE (NOT s.closed OR s.run = p.run)
    AND w.watermark_ms > s.last_logged_at_ms + p.session_timeout_ms
    AND NOT EXISTS (SELECT 1 FROM late_events AS l WHERE l.session_id = s.session_id)
)
SELECT session_id, session_bucket, MIN(incarnation) AS incarnation
FROM touched
GROUP BY session_id, session_bucket
