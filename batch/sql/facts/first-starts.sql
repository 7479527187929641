-- Where the first incarnation of each session begins: at the session's first copy, or where
-- it was numbered to begin before. `settled` says
-- that the session cannot have another one, because all its copies lie within the time that a
-- session is kept.
SELECT
  c.session_key,
  MIN(COALESCE(c.incarnation, c.log_offset)) AS first_offset,
  MAX(c.watermark_ms) - MIN(c.logged_at_ms) <= MIN(p.session_timeout_ms + p.session_keep_ms)
    AS settled
FROM facts_copies AS c
CROSS JOIN facts_parameters AS p
GROUP BY c.session_key
