-- I5: the key left its table in this transaction.
INSERT INTO trash (key, dead_since, due_at, seen) VALUES (?1, ?2, ?2, ?3)
