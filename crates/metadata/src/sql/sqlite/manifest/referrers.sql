SELECT digest, referrer
FROM visible_manifest
WHERE repository_id = ?1 AND subject = ?2 AND referrer IS NOT NULL AND digest > ?3
ORDER BY digest
LIMIT ?4
