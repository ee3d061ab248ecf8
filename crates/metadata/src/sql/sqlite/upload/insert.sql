INSERT INTO upload (
    id, key, repository_id, principal, algorithm, boot_id, expires_at, fence,
    offset_bytes, hash_state, store_state,
    durable_bytes, durable_hash_state, durable_store_state
) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, ?8, ?9, ?10, ?8, ?9, ?10)
