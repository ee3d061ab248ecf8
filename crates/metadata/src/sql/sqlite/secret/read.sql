SELECT value, version FROM secret WHERE name = ?1
