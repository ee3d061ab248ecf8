SELECT count(*) FROM (
    SELECT 1
    FROM manifest_blob e
    JOIN visible_manifest m ON m.id = e.manifest_id
    WHERE e.blob_id = ?1
    LIMIT ?2
)
