-- The copies of erased sessions that the log holds and the tables do not: an erasure that is half done
-- has not taken out all.
SELECT r.*
FROM reconcile_erased_copies AS r
LEFT JOIN (
  SELECT session_id, log_partition, log_offset, log_index
  FROM events
  UNION ALL
  SELECT session_id, log_partition, log_offset, log_index
  FROM event_copies
) AS e
  ON e.session_id = r.session_id
  AND e.log_partition = r.log_partition
  AND e.log_offset = r.log_offset
  AND e.log_index = r.log_index
WHERE e.session_id IS NULL
