-- The exclusions that name copies of the sessions to compute, each once.
SELECT
  t.session_key,
  x.seq,
  x.log_partition,
  x.log_offset,
  x.accepted,
  LOGICAL_OR(x.seen) AS seen,
  LOGICAL_OR(x.forgotten) AS forgotten
FROM facts_exclusions AS x
JOIN facts_touched AS t ON t.session_id = x.session_id
GROUP BY t.session_key, x.seq, x.log_partition, x.log_offset, x.accepted
