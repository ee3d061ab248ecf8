SELECT id, key
FROM upload
WHERE expires_at <= ?1
ORDER BY expires_at, id
LIMIT ?2
