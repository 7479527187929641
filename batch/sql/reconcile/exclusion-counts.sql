SELECT reason, COUNT(*) AS copies
FROM reconcile_exclusions
GROUP BY reason
ORDER BY reason
