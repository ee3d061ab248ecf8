SELECT key, missing
FROM object
WHERE digest = ?1
