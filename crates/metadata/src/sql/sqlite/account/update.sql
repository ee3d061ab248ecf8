UPDATE account SET
    id          = ?3,
    hash        = ?4,
    groups      = ?5,
    description = ?6,
    expires_at  = ?7,
    disabled_at = ?8,
    version     = ?9
WHERE kind = ?1 AND name = ?2
