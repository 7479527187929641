-- The events with which a new part begins: another present content than the last one that was
-- present before, in seq order. Few incarnations have more than one content.
WITH contents AS (
  SELECT
    e.incarnation_key,
    e.seq,
    e.content_id,
    LAG(e.content_id) OVER (PARTITION BY e.incarnation_key ORDER BY e.seq) AS content_before
  FROM facts_identities AS e
  JOIN facts_incarnations AS i ON i.incarnation_key = e.incarnation_key
  WHERE i.changes_content AND e.winner AND e.accepted AND NOT e.excluded
    AND e.content_id IS NOT NULL
)
SELECT incarnation_key, seq
FROM contents
WHERE content_id <> content_before
