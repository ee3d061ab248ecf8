-- I4: the manifest was found or written in this transaction.
INSERT INTO tag (repository_id, name, manifest_id, updated_at) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (repository_id, name) DO UPDATE SET
    manifest_id = excluded.manifest_id,
    updated_at  = excluded.updated_at
