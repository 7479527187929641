-- All copies that decide about those in staging: the latest known incarnation of their sessions, as
-- earlier runs loaded it, and the staged copies themselves. What the staged runs may have loaded before
-- they were interrupted is staged again. The first day is a value and not a column: so BigQuery reads
-- no day before it.
SELECT
  t.session_key,
  e.incarnation,
  e.seq,
  TRUE AS accepted,
  e.log_partition,
  e.log_offset,
  e.log_index,
  e.logged_at_ms,
  e.watermark_ms
FROM events AS e
JOIN facts_touched AS t ON t.session_id = e.session_id
WHERE e.received_date >= CAST(@from_date AS DATE)
  AND e.incarnation >= t.incarnation
  AND e.run NOT BETWEEN t.first_run AND t.last_run
UNION ALL
SELECT
  t.session_key,
  c.incarnation,
  c.seq,
  c.kind = 'duplicate' AS accepted,
  c.log_partition,
  c.log_offset,
  c.log_index,
  c.logged_at_ms,
  c.watermark_ms
FROM event_copies AS c
JOIN facts_touched AS t ON t.session_id = c.session_id
WHERE c.received_date >= CAST(@from_date AS DATE)
  AND c.incarnation >= t.incarnation
  AND c.run NOT BETWEEN t.first_run AND t.last_run
UNION ALL
SELECT
  t.session_key,
  CAST(NULL AS INT64) AS incarnation,
  s.seq,
  s.accepted,
  s.log_partition,
  s.log_offset,
  s.log_index,
  s.logged_at_ms,
  s.watermark_ms
FROM staging_copies AS s
JOIN facts_touched AS t ON t.session_id = s.session_id
