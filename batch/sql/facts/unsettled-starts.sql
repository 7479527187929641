-- Whether another pass of the numbering is needed.
SELECT session_key
FROM facts_incarnation_starts
WHERE NOT settled
LIMIT 1
