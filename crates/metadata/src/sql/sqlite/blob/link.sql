-- I4: the object row was read or written in this transaction. A lease never shrinks.
INSERT INTO blob (repository_id, digest, linked_at, lease_until) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (repository_id, digest) DO UPDATE SET
    linked_at   = iif(deleted_at IS NULL, linked_at, excluded.linked_at),
    lease_until = max(lease_until, excluded.lease_until),
    deleted_at  = NULL
RETURNING id
