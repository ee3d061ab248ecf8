SELECT name FROM tag WHERE manifest_id = ?1 ORDER BY name
