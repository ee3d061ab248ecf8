-- I4: the manifest became visible in this transaction; indexes that waited for it hold it.
UPDATE manifest_child SET child_id = ?3
WHERE repository_id = ?1 AND digest = ?2 AND child_id IS NULL
