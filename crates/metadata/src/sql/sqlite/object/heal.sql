-- I1: the caller has flushed the bytes. I5: the old key goes to the trash in this transaction.
UPDATE object SET key = ?2, path = ?3, inline = ?4, size_bytes = ?5, missing = 0
WHERE digest = ?1 AND missing = 1
