-- What is constant in an incarnation. Its clock offset is that of the frame with its lowest applied
-- seq. It is closed when the watermark at the cut is past the largest `loggedAt` of its applied
-- events by the time-out. `duplicates` counts accepted copies that did not win; one that the fold
-- listed all the same had been forgotten there, and is not counted as repeated.
WITH judged AS (
  SELECT *, winner AND accepted AND NOT excluded AS applied
  FROM facts_identities
),
grouped AS (
  SELECT
    incarnation_key,
    MIN(log_partition) AS log_partition,
    MIN(received_at_ms) AS first_received_at_ms,
    MAX(IF(applied, logged_at_ms, NULL)) AS last_logged_at_ms,
    MAX(IF(applied, seq, NULL)) AS last_seq,
    MIN_BY(clock_offset_ms, IF(applied, seq, NULL)) AS clock_offset_ms,
    COALESCE(
      MIN(IF(applied, content_id, NULL)) <> MAX(IF(applied, content_id, NULL)), FALSE
    ) AS changes_content,
    COUNTIF(accepted AND NOT winner AND NOT forgotten) AS duplicates,
    COUNTIF(winner AND NOT accepted AND NOT excluded) AS rejected
  FROM judged
  GROUP BY incarnation_key
)
SELECT
  g.incarnation_key,
  t.session_id,
  t.session_key,
  r.incarnation,
  g.log_partition,
  g.first_received_at_ms,
  g.last_logged_at_ms,
  g.last_seq,
  g.clock_offset_ms,
  g.changes_content,
  g.duplicates,
  g.rejected,
  COALESCE(w.watermark_ms > g.last_logged_at_ms + p.session_timeout_ms, FALSE) AS closed
FROM grouped AS g
JOIN facts_incarnation_ranges AS r ON r.incarnation_key = g.incarnation_key
JOIN facts_touched AS t ON t.session_key = r.session_key
LEFT JOIN facts_watermarks AS w ON w.log_partition = g.log_partition
CROSS JOIN facts_parameters AS p
