-- One writer a session: a step that names an older fence changes nothing.
UPDATE upload SET
    fence = fence + 1, boot_id = ?3, expires_at = ?4,
    offset_bytes = ?5, hash_state = ?6, store_state = ?7
WHERE id = ?1 AND fence = ?2
RETURNING fence
