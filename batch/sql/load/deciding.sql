-- What decides about the staged copies of one group of sessions.
SELECT
  session_id,
  run,
  seq,
  accepted,
  log_partition,
  log_offset,
  log_index,
  logged_at_ms,
  watermark_ms
FROM copies
WHERE MOD(session_bucket, CAST(@bucket_count AS INT64)) = CAST(@bucket AS INT64)
