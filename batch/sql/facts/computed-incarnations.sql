-- The incarnations whose rows were computed; what the warehouse has of them is replaced.
SELECT session_id, incarnation
FROM facts_incarnations
