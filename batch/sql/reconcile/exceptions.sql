-- What this view of the live side listed as not applied, of records below the cut: the table, and what
-- the log holds beside it. An exception is delivered at least once.
WITH listed AS (
  SELECT session_id, seq, reason, type, forgotten, source_partition, source_offset
  FROM exceptions
  WHERE live_view IS NULL OR live_view = @view
  UNION ALL
  SELECT session_id, seq, reason, type, forgotten, source_partition, source_offset
  FROM reconcile_exceptions_of_log
)
SELECT DISTINCT
  l.session_id,
  l.seq,
  l.reason,
  l.type,
  COALESCE(l.forgotten, FALSE) AS forgotten,
  l.source_partition,
  l.source_offset
FROM listed AS l
JOIN reconcile_cut_offsets AS c ON c.log_partition = l.source_partition
WHERE l.source_offset < c.next_offset
