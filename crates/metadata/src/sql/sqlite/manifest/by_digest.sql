SELECT m.repository_id, m.digest, m.media_type, m.size_bytes, m.pushed_at, m.body
FROM visible_repository r
JOIN visible_manifest m ON m.repository_id = r.id
WHERE r.name = ?1 AND m.digest = ?2
