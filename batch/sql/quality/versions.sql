-- The events of the days on which something arrived that was loaded, counted anew.
SELECT received_date, schema, player_name, player_version, COUNT(*) AS events
FROM events
WHERE received_date BETWEEN CAST(@from_date AS DATE) AND CAST(@to_date AS DATE)
  AND received_date IN (SELECT received_date FROM quality_days)
GROUP BY received_date, schema, player_name, player_version
