-- The staged copies with their incarnation, told apart: an accepted copy that wins is the event.
SELECT
  s.*,
  w.incarnation,
  w.winner AND s.accepted AS is_event,
  IF(s.accepted, 'duplicate', 'rejected') AS kind
FROM staging_copies AS s
JOIN load_winners AS w
  ON w.log_partition = s.log_partition
  AND w.log_offset = s.log_offset
  AND w.log_index = s.log_index
