DELETE FROM tag WHERE repository_id = ?1 AND name = ?2
