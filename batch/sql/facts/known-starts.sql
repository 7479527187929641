-- Where the incarnations begin, as they were numbered when their events were loaded.
SELECT DISTINCT session_key, incarnation AS first_offset, TRUE AS settled
FROM facts_copies
