-- What the table holds of each content, as one hash.
SELECT content_id, MIN(content_hash) AS content_hash
FROM content
GROUP BY content_id
