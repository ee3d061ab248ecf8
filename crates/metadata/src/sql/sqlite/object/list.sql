-- For backups: what lies in the store, page by page.
SELECT digest, key, size_bytes, missing
FROM object
WHERE key > ?1
ORDER BY key
LIMIT ?2
