-- What a digest once answered it answers again: type and body stay.
UPDATE manifest SET
    deleted_at  = NULL,
    pushed_at   = ?2,
    pushed_by   = ?3,
    lease_until = max(lease_until, ?4)
WHERE id = ?1 AND deleted_at IS NOT NULL
