SELECT u.key, u.repository_id, u.fence
FROM upload u
JOIN visible_repository r ON r.id = u.repository_id
WHERE u.id = ?1 AND r.name = ?2
