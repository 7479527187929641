-- The incarnations of the sessions of which copies are staged, with the offsets they reach over.
SELECT t.session_id, i.incarnation, i.next_incarnation
FROM facts_incarnation_ranges AS i
JOIN facts_touched AS t ON t.session_key = i.session_key
