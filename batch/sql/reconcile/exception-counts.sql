SELECT reason, COUNT(*) AS copies
FROM facts_exceptions
GROUP BY reason
ORDER BY reason
