SELECT u.key, u.repository_id, u.principal, u.algorithm, u.boot_id, u.fence, u.expires_at,
    u.offset_bytes, u.hash_state, u.store_state,
    u.durable_bytes, u.durable_hash_state, u.durable_store_state
FROM upload u
JOIN visible_repository r ON r.id = u.repository_id
WHERE u.id = ?1 AND r.name = ?2
