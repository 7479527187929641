-- The copies that the live view set aside below the cut, each once: an exception is delivered at least
-- once. One that was seen before it was set aside still counts as seen.
WITH listed AS (
  SELECT session_id, seq, reason, type, forgotten, source_partition, source_offset
  FROM exceptions
  UNION ALL
  SELECT session_id, seq, reason, type, forgotten, source_partition, source_offset
  FROM reconcile_exceptions_of_log
)
SELECT DISTINCT
  l.session_id,
  l.seq,
  l.source_partition AS log_partition,
  l.source_offset AS log_offset,
  l.reason,
  l.type <> 'rejected' AS accepted,
  l.reason <> 'afterClose' AND NOT COALESCE(l.forgotten, FALSE) AS seen,
  COALESCE(l.forgotten, FALSE) AS forgotten
FROM listed AS l
JOIN reconcile_cut_offsets AS c ON c.log_partition = l.source_partition
WHERE l.source_offset < c.next_offset
