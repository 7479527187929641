-- The staged copies that are not the event, with their incarnation, told apart.
SELECT c.*, i.incarnation, IF(c.accepted, 'duplicate', 'rejected') AS kind
FROM copies AS c
JOIN load_others AS o
  ON o.log_partition = c.log_partition
  AND o.log_offset = c.log_offset
  AND o.log_index = c.log_index
JOIN load_incarnations AS i
  ON i.session_id = c.session_id
  AND c.log_offset >= i.incarnation
  AND (i.next_incarnation IS NULL OR c.log_offset < i.next_incarnation)
