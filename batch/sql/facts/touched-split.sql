-- The sessions of one group, with an integer that stands for each of them; one that is split is several,
-- each of the copies in one partition.
SELECT
  t.session_id,
  t.incarnation,
  s.log_partition,
  ROW_NUMBER() OVER (ORDER BY t.session_id, s.log_partition) AS session_key
FROM facts_all_touched AS t
LEFT JOIN facts_split AS s ON s.session_id = t.session_id
WHERE t.session_id BETWEEN @first_session AND @last_session
