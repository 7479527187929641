-- The frames of erased sessions that the log holds and the table does not.
SELECT r.*
FROM reconcile_erased_frames AS r
LEFT JOIN frames AS f
  ON f.session_id = r.session_id
  AND f.log_partition = r.log_partition
  AND f.log_offset = r.log_offset
WHERE f.session_id IS NULL
