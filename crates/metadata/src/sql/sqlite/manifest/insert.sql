INSERT INTO manifest (
    repository_id, digest, media_type, artifact_type, subject, size_bytes, pushed_at, pushed_by,
    lease_until, referrer, body
) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
RETURNING id
