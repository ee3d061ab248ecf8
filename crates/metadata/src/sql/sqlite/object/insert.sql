-- I1: the caller has flushed the bytes.
INSERT INTO object (digest, key, path, inline, size_bytes) VALUES (?1, ?2, ?3, ?4, ?5)
