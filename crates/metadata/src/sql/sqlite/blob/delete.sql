-- The row stays until the undo horizon: edges of deleted manifests may still name it.
UPDATE blob SET deleted_at = ?2, lease_until = max(lease_until, ?3)
WHERE id = ?1 AND deleted_at IS NULL
