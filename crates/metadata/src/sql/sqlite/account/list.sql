SELECT kind, name, id, hash, groups, description, created_at, expires_at, disabled_at, version
FROM account
WHERE kind = ?1 AND name > ?2
ORDER BY name
LIMIT ?3
