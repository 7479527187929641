-- The run's parameters as a table of one row, so that every step reads them under the same name.
SELECT
  CAST(@run AS INT64) AS run,
  CAST(@from_date AS DATE) AS from_date,
  CAST(@from_minute_date AS DATE) AS from_minute_date,
  CAST(@open_minutes_only AS BOOL) AS open_minutes_only,
  CAST(@session_timeout_ms AS INT64) AS session_timeout_ms,
  CAST(@session_keep_ms AS INT64) AS session_keep_ms,
  CAST(@clock_step_ms AS INT64) AS clock_step_ms,
  CAST(@max_age_ms AS INT64) AS max_age_ms,
  CAST(@stalled_viewer_ms AS INT64) AS stalled_viewer_ms,
  CAST(@pane_life_ms AS INT64) AS pane_life_ms
