-- The trailing closes of incarnations that have closed, and what each added to `lost`. The last one
-- is known from the watermark at the cut. An earlier one lies at a silence beyond the time-out, where
-- the log was silent as well: the watermark at whatever was applied after it is past the largest
-- `loggedAt` of what was applied before it by the time-out. At a close everything counts as seen that
-- came before the watermark was past that bound. What an earlier close counted stays counted.
WITH silences AS (
  SELECT incarnation_key, seq AS silent_seq
  FROM facts_points
  WHERE silent_after
),
returns AS (
  SELECT
    s.incarnation_key,
    s.silent_seq AS last_seq,
    MAX(IF(e.seq <= s.silent_seq, e.logged_at_ms, NULL)) AS logged_before_ms,
    MIN(IF(e.seq > s.silent_seq, e.watermark_ms, NULL)) AS watermark_after_ms
  FROM silences AS s
  JOIN facts_identities AS e ON e.incarnation_key = s.incarnation_key
  WHERE e.winner AND e.accepted AND NOT e.excluded
  GROUP BY s.incarnation_key, s.silent_seq
),
closes AS (
  SELECT r.incarnation_key, r.last_seq, r.logged_before_ms + p.session_timeout_ms AS bound_ms
  FROM returns AS r
  CROSS JOIN facts_parameters AS p
  WHERE r.watermark_after_ms > r.logged_before_ms + p.session_timeout_ms
  UNION ALL
  SELECT i.incarnation_key, i.last_seq, i.last_logged_at_ms + p.session_timeout_ms AS bound_ms
  FROM facts_incarnations AS i
  CROSS JOIN facts_parameters AS p
  WHERE i.closed
),
missing AS (
  SELECT c.incarnation_key, c.last_seq, MAX(e.seq) + 1 - COUNT(*) AS missing
  FROM closes AS c
  JOIN facts_identities AS e ON e.incarnation_key = c.incarnation_key
  WHERE e.winner AND e.watermark_ms <= c.bound_ms AND (e.seen OR NOT e.excluded)
  GROUP BY c.incarnation_key, c.last_seq
),
counted AS (
  SELECT
    *,
    COALESCE(MAX(missing) OVER (
      PARTITION BY incarnation_key ORDER BY last_seq
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ), 0) AS counted_before
  FROM missing
)
SELECT incarnation_key, last_seq, missing - counted_before AS lost
FROM counted
WHERE missing > counted_before
