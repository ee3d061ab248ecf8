INSERT INTO secret (name, value, updated_at) VALUES (?1, ?2, ?3)
