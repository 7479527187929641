-- Loading leaves nothing out.
SELECT session_key, 0 AS seq, 0 AS log_partition, 0 AS log_offset, TRUE AS accepted
FROM facts_touched
WHERE FALSE
