-- The registry's tables. Digests and names are text compared by bytes (BINARY), times are
-- microseconds since the epoch, keys are 16 bytes. Foreign keys are RESTRICT everywhere: they are
-- the second fence behind every removal.

CREATE TABLE repository (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    listed_at  INTEGER,            -- when it got its first manifest; listed from then on
    deleted_at INTEGER
) STRICT;
-- A name is unique among the living.
CREATE UNIQUE INDEX repository_by_name ON repository (name) WHERE deleted_at IS NULL;
CREATE INDEX repository_listed ON repository (name)
    WHERE deleted_at IS NULL AND listed_at IS NOT NULL;

-- Digest to what holds its bytes: an object's key, the bytes themselves, or an adopted path.
CREATE TABLE object (
    digest     TEXT    NOT NULL PRIMARY KEY,
    key        BLOB    UNIQUE,
    path       TEXT    UNIQUE,
    size_bytes INTEGER NOT NULL CHECK (size_bytes >= 0),
    missing    INTEGER NOT NULL DEFAULT 0 CHECK (missing IN (0, 1)),
    inline     BLOB,
    CHECK ((key IS NOT NULL) + (path IS NOT NULL) + (inline IS NOT NULL) = 1)
) STRICT;

-- This repository has this blob.
CREATE TABLE blob (
    id            INTEGER PRIMARY KEY,
    repository_id INTEGER NOT NULL REFERENCES repository (id) ON DELETE RESTRICT,
    digest        TEXT    NOT NULL REFERENCES object (digest) ON DELETE RESTRICT,
    linked_at     INTEGER NOT NULL,
    deleted_at    INTEGER,
    lease_until   INTEGER NOT NULL,
    UNIQUE (repository_id, digest)
) STRICT;
CREATE INDEX blob_by_digest ON blob (digest, repository_id);
CREATE INDEX blob_by_lease ON blob (lease_until);

-- The body comes last, so that reading the other columns does not touch its pages.
CREATE TABLE manifest (
    id            INTEGER PRIMARY KEY,
    repository_id INTEGER NOT NULL REFERENCES repository (id) ON DELETE RESTRICT,
    digest        TEXT    NOT NULL,
    media_type    TEXT    NOT NULL,
    artifact_type TEXT,
    subject       TEXT,
    size_bytes    INTEGER NOT NULL CHECK (size_bytes >= 0),
    pushed_at     INTEGER NOT NULL,
    pushed_by     TEXT    NOT NULL,
    deleted_at    INTEGER,
    lease_until   INTEGER NOT NULL,
    referrer      BLOB,            -- its descriptor as the referrers list shows it
    body          BLOB    NOT NULL,
    UNIQUE (repository_id, digest)
) STRICT;
CREATE INDEX manifest_by_subject ON manifest (repository_id, subject, digest)
    WHERE deleted_at IS NULL AND referrer IS NOT NULL;
CREATE INDEX manifest_by_subject_and_type ON manifest (repository_id, subject, artifact_type, digest)
    WHERE deleted_at IS NULL AND referrer IS NOT NULL;
CREATE INDEX manifest_by_lease ON manifest (lease_until);

-- Config and layers. The digest always stands; the target is null until the blob is there, and is
-- filled in the transaction that makes it appear.
CREATE TABLE manifest_blob (
    manifest_id   INTEGER NOT NULL REFERENCES manifest (id) ON DELETE RESTRICT,
    digest        TEXT    NOT NULL,
    repository_id INTEGER NOT NULL,
    blob_id       INTEGER REFERENCES blob (id) ON DELETE RESTRICT,
    PRIMARY KEY (manifest_id, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX manifest_blob_target ON manifest_blob (blob_id) WHERE blob_id IS NOT NULL;
CREATE INDEX manifest_blob_waiting ON manifest_blob (repository_id, digest) WHERE blob_id IS NULL;

-- The manifests of an index, likewise.
CREATE TABLE manifest_child (
    parent_id     INTEGER NOT NULL REFERENCES manifest (id) ON DELETE RESTRICT,
    digest        TEXT    NOT NULL,
    repository_id INTEGER NOT NULL,
    child_id      INTEGER REFERENCES manifest (id) ON DELETE RESTRICT,
    PRIMARY KEY (parent_id, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX manifest_child_target ON manifest_child (child_id) WHERE child_id IS NOT NULL;
CREATE INDEX manifest_child_waiting ON manifest_child (repository_id, digest)
    WHERE child_id IS NULL;

CREATE TABLE tag (
    repository_id INTEGER NOT NULL REFERENCES repository (id) ON DELETE RESTRICT,
    name          TEXT    NOT NULL,
    manifest_id   INTEGER NOT NULL REFERENCES manifest (id) ON DELETE RESTRICT,
    updated_at    INTEGER NOT NULL,
    PRIMARY KEY (repository_id, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX tag_by_manifest ON tag (manifest_id, name);

CREATE TABLE upload (
    id                  BLOB    NOT NULL PRIMARY KEY,
    key                 BLOB    NOT NULL UNIQUE,
    repository_id       INTEGER NOT NULL REFERENCES repository (id) ON DELETE RESTRICT,
    principal           TEXT    NOT NULL,
    algorithm           TEXT    NOT NULL,
    offset_bytes        INTEGER NOT NULL,
    hash_state          BLOB    NOT NULL,
    store_state         BLOB    NOT NULL,
    boot_id             TEXT    NOT NULL,
    durable_bytes       INTEGER NOT NULL,
    durable_hash_state  BLOB    NOT NULL,
    durable_store_state BLOB    NOT NULL,
    fence               INTEGER NOT NULL,
    expires_at          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX upload_by_expiry ON upload (expires_at, id);
CREATE INDEX upload_by_repository ON upload (repository_id);

-- Open sessions of a principal, so that the limit costs one look-up however many there are.
CREATE TABLE upload_tally (
    principal TEXT    NOT NULL PRIMARY KEY,
    sessions  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER upload_began AFTER INSERT ON upload BEGIN
    INSERT INTO upload_tally (principal, sessions) VALUES (new.principal, 1)
        ON CONFLICT (principal) DO UPDATE SET sessions = sessions + 1;
END;
CREATE TRIGGER upload_ended AFTER DELETE ON upload BEGIN
    UPDATE upload_tally SET sessions = sessions - 1 WHERE principal = old.principal;
    DELETE FROM upload_tally WHERE principal = old.principal AND sessions <= 0;
END;

-- Objects to remove. What was seen by readers waits for collection, the rest goes when it is due.
CREATE TABLE trash (
    key        BLOB    NOT NULL PRIMARY KEY,
    dead_since INTEGER NOT NULL,
    due_at     INTEGER NOT NULL,
    tries      INTEGER NOT NULL DEFAULT 0,
    seen       INTEGER NOT NULL CHECK (seen IN (0, 1))
) STRICT, WITHOUT ROWID;
CREATE INDEX trash_unseen ON trash (due_at, key) WHERE seen = 0;

CREATE TABLE journal (
    seq           INTEGER PRIMARY KEY AUTOINCREMENT,
    at            INTEGER NOT NULL,
    actor         TEXT    NOT NULL,
    action        TEXT    NOT NULL,
    repository_id INTEGER NOT NULL,
    tag           TEXT,
    digest        TEXT,
    previous      TEXT,
    detail        TEXT    NOT NULL   -- JSON
) STRICT;
CREATE INDEX journal_by_tag ON journal (repository_id, tag, seq) WHERE tag IS NOT NULL;

-- What users see. Every visible read goes through these, so that the filter stands once.
CREATE VIEW visible_repository AS SELECT * FROM repository WHERE deleted_at IS NULL;
CREATE VIEW visible_blob AS SELECT * FROM blob WHERE deleted_at IS NULL;
CREATE VIEW visible_manifest AS SELECT * FROM manifest WHERE deleted_at IS NULL;
CREATE VIEW live_object AS SELECT * FROM object WHERE missing = 0;
