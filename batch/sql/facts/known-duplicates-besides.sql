-- How many copies of each frame came again, of sessions that are not computed now, as they were told
-- apart when they were loaded.
SELECT c.log_partition, c.log_offset, COUNT(*) AS copies
FROM event_copies AS c
JOIN facts_touched_minutes AS m
  ON m.minute_date = c.received_date
  AND m.minute_ms = c.received_at_ms - MOD(c.received_at_ms, 60000)
LEFT JOIN facts_all_touched AS a ON a.session_id = c.session_id
WHERE c.kind = 'duplicate' AND a.session_id IS NULL
GROUP BY c.log_partition, c.log_offset
