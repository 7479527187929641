-- The incarnation of every copy, and whether it wins its identity: the first in (partition, offset,
-- index in the frame), accepted or rejected.
SELECT
  c.log_partition,
  c.log_offset,
  c.log_index,
  i.incarnation,
  ROW_NUMBER() OVER (
    PARTITION BY i.incarnation_key, c.seq
    ORDER BY c.log_partition, c.log_offset, c.log_index
  ) = 1 AS winner
FROM facts_copies AS c
JOIN facts_incarnation_ranges AS i
  ON i.session_key = c.session_key
  AND c.log_offset >= i.incarnation
  AND (i.next_incarnation IS NULL OR c.log_offset < i.next_incarnation)
