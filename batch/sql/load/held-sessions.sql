-- The sessions of which the run holds its copies back, because what decides about them may have arrived
-- before the bound: one of theirs has arrived so, or the incarnation that is still kept has. While
-- copies of a session wait, so do all that follow: copies are decided about in the order of the log.
WITH staged AS (
  SELECT session_id, MIN(received_date) AS first_date, MIN(watermark_ms) AS watermark_ms
  FROM staged_frames
  GROUP BY session_id
),
reasons AS (
  SELECT session_id, 'waits' AS reason
  FROM staged
  WHERE first_date < CAST(@bound AS DATE)
  UNION ALL
  SELECT l.session_id, 'waits' AS reason
  FROM late_events AS l
  JOIN staged AS g ON g.session_id = l.session_id
  WHERE l.run <> CAST(@run AS INT64)
  UNION ALL
  SELECT s.session_id, 'old_session' AS reason
  FROM sessions AS s
  JOIN staged AS g ON g.session_id = s.session_id
  WHERE s.first_received_date < CAST(@bound AS DATE)
    AND g.watermark_ms <= s.last_logged_at_ms + CAST(@alone_ms AS INT64)
)
SELECT session_id, MIN(reason) AS reason
FROM reasons
GROUP BY session_id
