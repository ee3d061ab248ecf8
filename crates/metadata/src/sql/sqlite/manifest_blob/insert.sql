-- I4: the target, where there is one, was found in this transaction. A digest named twice is one
-- edge; an edge that waits takes its target when the manifest is pushed again.
INSERT INTO manifest_blob (manifest_id, digest, repository_id, blob_id) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (manifest_id, digest) DO UPDATE SET blob_id = excluded.blob_id
WHERE blob_id IS NULL AND excluded.blob_id IS NOT NULL
