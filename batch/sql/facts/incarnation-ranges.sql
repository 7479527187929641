-- Incarnations with the offsets they reach over, and an integer that stands for each of them.
SELECT
  ROW_NUMBER() OVER (ORDER BY session_key, first_offset) AS incarnation_key,
  session_key,
  first_offset AS incarnation,
  LEAD(first_offset) OVER (PARTITION BY session_key ORDER BY first_offset) AS next_incarnation
FROM facts_incarnation_starts
