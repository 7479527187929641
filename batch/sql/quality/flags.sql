-- What the run has flagged, the worst of each check first.
SELECT check_name, player_name, player_version, found, checked, rate, threshold
FROM data_quality
WHERE run_date = CAST(@run_date AS DATE) AND run = CAST(@run AS INT64) AND flagged
ORDER BY check_name, rate DESC, player_name, player_version
