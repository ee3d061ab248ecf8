-- I4: the blob became visible in this transaction; edges that waited for it hold it from now on.
UPDATE manifest_blob SET blob_id = ?3
WHERE repository_id = ?1 AND digest = ?2 AND blob_id IS NULL
