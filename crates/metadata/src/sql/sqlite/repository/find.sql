SELECT id, listed_at IS NOT NULL
FROM visible_repository
WHERE name = ?1
