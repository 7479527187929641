-- The incarnations that the warehouse has of what is computed: also those that are there no more since
-- their sessions were numbered again, whose rows go.
SELECT s.session_id, s.incarnation
FROM sessions AS s
JOIN facts_all_touched AS t ON t.session_id = s.session_id AND s.incarnation >= t.incarnation
UNION DISTINCT
SELECT m.session_id, m.incarnation
FROM session_minutes AS m
JOIN facts_all_touched AS t ON t.session_id = m.session_id AND m.incarnation >= t.incarnation
CROSS JOIN facts_parameters AS p
WHERE m.minute_date >= p.from_minute_date
