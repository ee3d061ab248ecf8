SELECT b.repository_id, o.size_bytes, b.linked_at, o.key, o.path, o.inline
FROM visible_repository r
JOIN visible_blob b ON b.repository_id = r.id
JOIN live_object o ON o.digest = b.digest
WHERE r.name = ?1 AND b.digest = ?2
