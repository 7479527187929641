-- Where the staged copies are that are not the event: rejected ones, and those that do not win their
-- identity. The first copy of an identity in (partition, offset, index in the frame) wins, accepted or
-- rejected. Few identities have more than one copy, and only the copies of those need to be ranked.
WITH placed AS (
  SELECT
    i.incarnation_key,
    c.seq,
    c.log_partition,
    c.log_offset,
    c.log_index,
    c.incarnation IS NULL AS is_staged
  FROM facts_copies AS c
  JOIN facts_incarnation_ranges AS i
    ON i.session_key = c.session_key
    AND c.log_offset >= i.incarnation
    AND (i.next_incarnation IS NULL OR c.log_offset < i.next_incarnation)
),
repeated AS (
  SELECT incarnation_key, seq
  FROM placed
  GROUP BY incarnation_key, seq
  HAVING COUNT(*) > 1
),
ranked AS (
  SELECT
    p.log_partition,
    p.log_offset,
    p.log_index,
    p.is_staged,
    ROW_NUMBER() OVER (
      PARTITION BY p.incarnation_key, p.seq
      ORDER BY p.log_partition, p.log_offset, p.log_index
    ) AS place
  FROM placed AS p
  JOIN repeated AS r ON r.incarnation_key = p.incarnation_key AND r.seq = p.seq
)
SELECT log_partition, log_offset, log_index
FROM ranked
WHERE is_staged AND place > 1
UNION DISTINCT
SELECT log_partition, log_offset, log_index
FROM facts_copies
WHERE incarnation IS NULL AND NOT accepted
