SELECT kind, name, id, hash, groups, description, created_at, expires_at, disabled_at, version
FROM account
WHERE id = ?1
