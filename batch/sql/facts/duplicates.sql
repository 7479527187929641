-- How many copies of each frame came again. A copy that the fold had forgotten is listed there and
-- not counted as repeated.
SELECT log_partition, log_offset, COUNT(*) AS copies
FROM facts_identities
WHERE accepted AND NOT winner AND NOT forgotten
GROUP BY log_partition, log_offset
