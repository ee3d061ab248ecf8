SELECT t.manifest_id, m.digest
FROM tag t
JOIN manifest m ON m.id = t.manifest_id
WHERE t.repository_id = ?1 AND t.name = ?2
