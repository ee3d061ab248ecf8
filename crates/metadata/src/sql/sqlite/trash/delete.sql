-- I2: the object is removed; the key is named nowhere from now on.
DELETE FROM trash WHERE key = ?1
