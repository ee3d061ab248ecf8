SELECT m.digest, m.media_type, m.size_bytes, m.pushed_at
FROM visible_repository r
JOIN tag t ON t.repository_id = r.id
JOIN visible_manifest m ON m.id = t.manifest_id
WHERE r.name = ?1 AND t.name = ?2
