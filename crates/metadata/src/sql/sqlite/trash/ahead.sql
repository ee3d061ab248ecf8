SELECT key
FROM trash
WHERE seen = 0 AND due_at > ?1
ORDER BY due_at, key
LIMIT ?2
