-- The copies that do not win their identity. Equal identity (incarnation, seq) is the same event; the
-- first copy in (partition, offset, index in the frame) wins, accepted or rejected. Most sessions were
-- loaded as events alone, in one incarnation: all of their copies win, and need not be ranked.
WITH mixed AS (
  SELECT session_key
  FROM facts_copies
  GROUP BY session_key
  HAVING COUNTIF(NOT is_event) > 0 OR COUNT(incarnation) = 0 OR MIN(incarnation) < MAX(incarnation)
),
ranked AS (
  SELECT
    c.log_partition,
    c.log_offset,
    c.log_index,
    ROW_NUMBER() OVER (
      PARTITION BY i.incarnation_key, c.seq
      ORDER BY c.log_partition, c.log_offset, c.log_index
    ) AS place
  FROM facts_copies AS c
  JOIN mixed AS m ON m.session_key = c.session_key
  JOIN facts_incarnation_ranges AS i
    ON i.session_key = c.session_key
    AND c.log_offset >= i.incarnation
    AND (i.next_incarnation IS NULL OR c.log_offset < i.next_incarnation)
)
SELECT log_partition, log_offset, log_index
FROM ranked
WHERE place > 1
