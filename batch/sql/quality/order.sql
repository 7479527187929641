-- What the order of a session's events says, by player, for the events that the run loaded: stalls
-- without a start before them, and events that came long after the one before, though neither the
-- session had ended nor an event between them is missing.
WITH touched AS (
  SELECT DISTINCT session_id, incarnation
  FROM quality_sessions
  WHERE session_id BETWEEN @first_session AND @last_session
),
placed AS (
  SELECT
    e.run,
    e.seq,
    e.type,
    e.at_ms,
    COALESCE(e.player_name, 'unknown') AS player_name,
    COALESCE(e.player_version, 'unknown') AS player_version,
    COUNT(IF(e.type = 'playbackStart', 1, NULL)) OVER in_order AS starts,
    LAG(e.seq) OVER in_order AS seq_before,
    LAG(e.type) OVER in_order AS type_before,
    LAG(e.at_ms) OVER in_order AS before_ms,
    LAG(e.run) OVER in_order AS run_before
  FROM events AS e
  JOIN touched AS t ON t.session_id = e.session_id AND t.incarnation = e.incarnation
  WHERE e.received_date >= CAST(@from_date AS DATE)
    AND e.session_id BETWEEN @first_session AND @last_session
  WINDOW in_order AS (PARTITION BY e.session_id, e.incarnation ORDER BY e.seq)
),
totals AS (
  SELECT
    player_name,
    player_version,
    COUNTIF(type = 'playbackStall') AS stalls,
    COUNTIF(type = 'playbackStall' AND starts = 0) AS stalls_without_start,
    COUNTIF(seq = seq_before + 1) AS steps,
    COUNTIF(
      seq = seq_before + 1
      AND at_ms - before_ms > CAST(@gap_ms AS INT64)
      AND type_before NOT IN ('playbackFinish', 'playbackFail', 'sessionEnd')
    ) AS gaps
  FROM placed
  WHERE run = CAST(@run AS INT64) OR run_before = CAST(@run AS INT64)
  GROUP BY player_name, player_version
)
SELECT
  'stall_without_start' AS check_name,
  player_name,
  player_version,
  stalls_without_start AS found,
  stalls AS checked
FROM totals
UNION ALL
SELECT 'heartbeat_gap' AS check_name, player_name, player_version, gaps, steps
FROM totals
