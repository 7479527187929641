-- One pass of the numbering of incarnations: of every session that is not settled, the latest
-- incarnation that is known is searched for the copy at which the next one begins. A copy begins it
-- when the watermark, as its record advanced it, is past the largest `loggedAt` of the events
-- applied so far by the time-out and the time that a session is kept. Until something is applied,
-- the incarnation's first record counts in its place. Which copy wins an identity depends on where
-- the incarnation begins, so passes follow one another until every session is settled.
WITH latest AS (
  SELECT session_key, MAX(first_offset) AS first_offset
  FROM facts_incarnation_starts
  GROUP BY session_key
  HAVING COUNTIF(settled) = 0
),
ranked AS (
  SELECT
    c.session_key,
    c.log_partition,
    c.log_offset,
    c.log_index,
    c.logged_at_ms,
    c.watermark_ms,
    c.accepted AND x.seq IS NULL AND ROW_NUMBER() OVER (
      PARTITION BY c.session_key, c.seq
      ORDER BY c.log_partition, c.log_offset, c.log_index
    ) = 1 AS applied
  FROM facts_copies AS c
  JOIN latest AS l ON l.session_key = c.session_key AND c.log_offset >= l.first_offset
  LEFT JOIN facts_excluded AS x
    ON x.session_key = c.session_key
    AND x.seq = c.seq
    AND x.log_partition = c.log_partition
    AND x.log_offset = c.log_offset
    AND x.accepted = c.accepted
),
kept AS (
  SELECT
    session_key,
    log_offset,
    watermark_ms,
    COALESCE(
      MAX(IF(applied, logged_at_ms, NULL)) OVER (
        PARTITION BY session_key
        ORDER BY log_partition, log_offset, log_index
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
      ),
      FIRST_VALUE(logged_at_ms) OVER (
        PARTITION BY session_key
        ORDER BY log_partition, log_offset, log_index
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
      )
    ) AS largest_logged_at_ms
  FROM ranked
),
begun AS (
  SELECT k.session_key, MIN(k.log_offset) AS first_offset
  FROM kept AS k
  CROSS JOIN facts_parameters AS p
  WHERE k.watermark_ms > k.largest_logged_at_ms + p.session_timeout_ms + p.session_keep_ms
  GROUP BY k.session_key
)
SELECT s.session_key, s.first_offset, b.session_key IS NULL AS settled
FROM facts_incarnation_starts AS s
LEFT JOIN begun AS b ON b.session_key = s.session_key
UNION ALL
SELECT session_key, first_offset, FALSE AS settled
FROM begun
