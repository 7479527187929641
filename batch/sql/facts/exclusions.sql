-- What the live view listed as not applied, as exclusions. What arrived after a close does not count as
-- seen for `lost`, nor what the fold had forgotten about; `capped` events were applied, under another
-- key.
SELECT DISTINCT
  session_id,
  seq,
  source_partition AS log_partition,
  source_offset AS log_offset,
  type <> 'rejected' AS accepted,
  reason <> 'afterClose' AND NOT COALESCE(forgotten, FALSE) AS seen,
  COALESCE(forgotten, FALSE) AS forgotten
FROM facts_exceptions
WHERE reason <> 'capped'
