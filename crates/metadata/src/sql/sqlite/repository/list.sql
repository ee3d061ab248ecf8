SELECT name
FROM visible_repository
WHERE listed_at IS NOT NULL AND name > ?1
ORDER BY name
LIMIT ?2
