INSERT INTO account
    (kind, name, id, hash, groups, description, created_at, expires_at, disabled_at, version)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
