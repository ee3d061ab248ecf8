-- Who may come in, and what the processes of one registry share and nobody else may see.

-- Keys that sign tokens, accounts with certificate authorities. The version is never used again,
-- not even for a name that was removed and made anew.
CREATE TABLE secret (
    version    INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT    NOT NULL UNIQUE,
    value      BLOB    NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

-- Local users and robots. The version is the number of the journal line of the last change.
CREATE TABLE account (
    kind        TEXT    NOT NULL CHECK (kind IN ('user', 'robot')),
    name        TEXT    NOT NULL,
    id          TEXT    NOT NULL UNIQUE,
    hash        TEXT    NOT NULL,
    groups      TEXT    NOT NULL,   -- JSON, an array of names
    description TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER,
    disabled_at INTEGER,
    version     INTEGER NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;

-- From here on a line of the journal may be about no repository: repository_id is 0 then.
