UPDATE repository SET listed_at = ?2
WHERE id = ?1 AND listed_at IS NULL
