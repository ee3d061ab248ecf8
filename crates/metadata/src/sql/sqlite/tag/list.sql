SELECT name
FROM tag
WHERE repository_id = ?1 AND name > ?2
ORDER BY name
LIMIT ?3
