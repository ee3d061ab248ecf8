DELETE FROM tag WHERE manifest_id = ?1
