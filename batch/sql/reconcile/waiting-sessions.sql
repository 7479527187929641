-- Sessions in which an event may still wait for a lower seq at the cut: something of them came within
-- the time to wait, and a seq is missing. A few that do not wait any more are among them.
SELECT e.session_id
FROM (
  SELECT session_id, incarnation, seq, logged_at_ms, log_partition
  FROM events
  WHERE received_date >= CAST(@from_date AS DATE)
  UNION ALL
  SELECT session_id, incarnation, seq, logged_at_ms, log_partition
  FROM event_copies
  WHERE received_date >= CAST(@from_date AS DATE)
) AS e
JOIN reconcile_watermarks AS w ON w.log_partition = e.log_partition
GROUP BY e.session_id, e.incarnation, w.watermark_ms
HAVING MAX(e.logged_at_ms) + CAST(@reorder_ms AS INT64) >= w.watermark_ms
  AND MAX(e.seq) + 1 > COUNT(DISTINCT e.seq)
