-- Of every partition, where the last run that took it ended. The number of the last run of all is
-- in each row.
SELECT
  topic,
  topic_id,
  log_partition,
  next_offset,
  watermark_ms,
  last_logged_at_ms,
  last_run
FROM (
  SELECT
    topic,
    topic_id,
    log_partition,
    next_offset,
    watermark_ms,
    last_logged_at_ms,
    MAX(run) OVER () AS last_run,
    ROW_NUMBER() OVER (PARTITION BY topic, log_partition ORDER BY run DESC) AS newest
  FROM batch_runs
) AS taken
WHERE newest = 1
ORDER BY topic, log_partition
