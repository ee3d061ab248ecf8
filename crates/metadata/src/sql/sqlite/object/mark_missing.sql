-- The digest may live elsewhere by now: then what was found missing is nobody's any more.
UPDATE object SET missing = 1
WHERE digest = ?1 AND key = ?2
