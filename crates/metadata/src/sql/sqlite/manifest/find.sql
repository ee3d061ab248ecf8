-- Whether the repository has it, visibly or not.
SELECT id, deleted_at IS NOT NULL, media_type, size_bytes
FROM manifest
WHERE repository_id = ?1 AND digest = ?2
