-- The staged copies that are the event, with their incarnation.
SELECT c.*, i.incarnation
FROM copies AS c
JOIN load_incarnations AS i
  ON i.session_id = c.session_id
  AND c.log_offset >= i.incarnation
  AND (i.next_incarnation IS NULL OR c.log_offset < i.next_incarnation)
WHERE NOT EXISTS (
  SELECT 1
  FROM load_others AS o
  WHERE o.log_partition = c.log_partition
    AND o.log_offset = c.log_offset
    AND o.log_index = c.log_index
)
