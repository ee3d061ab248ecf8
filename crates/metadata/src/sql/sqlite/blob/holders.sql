SELECT r.name
FROM visible_blob b
JOIN live_object o ON o.digest = b.digest
JOIN visible_repository r ON r.id = b.repository_id
WHERE b.digest = ?1
ORDER BY b.repository_id
LIMIT ?2
