-- The incarnations whose rows were computed.
SELECT session_id, incarnation
FROM facts_incarnations
