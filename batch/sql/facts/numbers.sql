-- Numbers from 0, one for each minute that an interval can reach into.
WITH RECURSIVE counted AS (
  SELECT 0 AS number
  UNION ALL
  SELECT c.number + 1
  FROM counted AS c
  CROSS JOIN facts_parameters AS p
  WHERE c.number < DIV(p.session_timeout_ms, 60000) + 2
)
SELECT number
FROM counted
