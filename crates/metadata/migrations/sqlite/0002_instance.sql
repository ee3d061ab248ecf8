-- Tells one registry from another, for as long as its database lives: in its backups, and in what is
-- restored of them.
CREATE TABLE instance (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    id  BLOB    NOT NULL CHECK (length(id) = 16)
) STRICT;
INSERT INTO instance (one, id) VALUES (1, randomblob(16));
