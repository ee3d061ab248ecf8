SELECT b.id, b.lease_until, o.size_bytes, o.missing
FROM visible_blob b
JOIN object o ON o.digest = b.digest
WHERE b.repository_id = ?1 AND b.digest = ?2
