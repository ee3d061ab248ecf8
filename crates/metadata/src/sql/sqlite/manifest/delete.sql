-- Row and edges stay until the undo horizon.
UPDATE manifest SET deleted_at = ?2, lease_until = max(lease_until, ?3)
WHERE id = ?1 AND deleted_at IS NULL
