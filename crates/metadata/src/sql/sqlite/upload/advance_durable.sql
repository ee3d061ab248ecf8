-- As advance; the caller has flushed the bytes that the durable state speaks of.
UPDATE upload SET
    fence = fence + 1, boot_id = ?3, expires_at = ?4,
    offset_bytes = ?5, hash_state = ?6, store_state = ?7,
    durable_bytes = ?8, durable_hash_state = ?9, durable_store_state = ?10
WHERE id = ?1 AND fence = ?2
RETURNING fence
