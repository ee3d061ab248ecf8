//! What lies on the disk: rows against files, looked at without the registry.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::harness::hex;

/// Rows that name an object, by what they say of it.
struct Named {
    /// Key to length, of objects whose bytes are there.
    objects: BTreeMap<String, u64>,
    /// Key to the bytes that the session counts as received.
    uploads: BTreeMap<String, u64>,
    trash: BTreeSet<String>,
    /// Of these, what the sweep is to remove at once.
    unseen: BTreeSet<String>,
}

/// Looks at what a crash left: nothing here has run since.
///
/// The database and its log are copied first, so that no other SQLite recovers them.
pub(crate) fn check_crashed(data: &Path, thorough: bool) {
    let copy = tempfile::tempdir().unwrap();
    for name in ["roadstead.db", "roadstead.db-wal"] {
        let from = data.join(name);
        if from.exists() {
            std::fs::copy(&from, copy.path().join(name)).unwrap();
        }
    }
    let database = Connection::open(copy.path().join("roadstead.db")).unwrap();
    if thorough {
        check_integrity(&database);
    }
    check_rows(&database);
    let named = named(&database);
    let files = files(data);
    for (key, size) in &named.objects {
        assert_eq!(files.get(key), Some(size), "the object {key} is not whole");
    }
    for (key, received) in &named.uploads {
        let length = files.get(key).copied().unwrap_or(0);
        assert!(
            length >= *received,
            "the upload {key} has {length} of {received} bytes"
        );
    }
    for key in files.keys() {
        let known = named.objects.contains_key(key)
            || named.uploads.contains_key(key)
            || named.trash.contains(key);
        assert!(known, "no row names the file {key}");
    }
}

/// Whether the sweep of a running registry has removed all that it is to remove. What nobody names
/// any more is then gone.
pub(crate) fn is_swept(data: &Path) -> bool {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let database = Connection::open_with_flags(data.join("roadstead.db"), flags).unwrap();
    let named = named(&database);
    if !named.unseen.is_empty() {
        return false;
    }
    for key in files(data).keys() {
        let known = named.objects.contains_key(key)
            || named.uploads.contains_key(key)
            || named.trash.contains(key);
        assert!(known, "no row names the file {key} after the sweep");
    }
    true
}

fn check_integrity(database: &Connection) {
    let said: String = database
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(said, "ok");
    let broken: i64 = database
        .query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(broken, 0, "foreign keys that lead nowhere");
}

/// What must hold between rows whatever was cut off.
fn check_rows(database: &Connection) {
    for (what, query) in [
        (
            "visible manifests name blobs that are not visible",
            "SELECT count(*) FROM visible_manifest m JOIN manifest_blob e ON e.manifest_id = m.id \
             LEFT JOIN visible_blob b ON b.id = e.blob_id WHERE b.id IS NULL",
        ),
        (
            "tags lead to manifests that are not visible",
            "SELECT count(*) FROM tag t LEFT JOIN visible_manifest m ON m.id = t.manifest_id \
             AND m.repository_id = t.repository_id WHERE m.id IS NULL",
        ),
        (
            "principals whose open uploads are counted wrongly",
            "SELECT count(*) FROM (SELECT principal, count(*) AS n FROM upload GROUP BY principal) u \
             FULL JOIN upload_tally t USING (principal) WHERE u.n IS NOT t.sessions",
        ),
        (
            "keys that two rows have",
            "SELECT count(*) - count(DISTINCT key) FROM (SELECT key FROM object WHERE key IS NOT NULL \
             UNION ALL SELECT key FROM upload UNION ALL SELECT key FROM trash)",
        ),
        (
            "objects that count as missing",
            "SELECT count(*) FROM object WHERE missing",
        ),
    ] {
        let found: i64 = database.query_row(query, [], |row| row.get(0)).unwrap();
        assert_eq!(found, 0, "{what}");
    }
}

fn named(database: &Connection) -> Named {
    let sizes = |query: &str| -> BTreeMap<String, u64> {
        let mut statement = database.prepare(query).unwrap();
        let rows = statement.query_map([], |row| {
            let key: [u8; 16] = row.get(0)?;
            let size: i64 = row.get(1)?;
            Ok((hex(&key), u64::try_from(size).unwrap()))
        });
        rows.unwrap().map(Result::unwrap).collect()
    };
    let keys = |query: &str| sizes(query).into_keys().collect();
    Named {
        objects: sizes("SELECT key, size_bytes FROM live_object WHERE key IS NOT NULL"),
        uploads: sizes("SELECT key, offset_bytes FROM upload"),
        trash: keys("SELECT key, 0 FROM trash"),
        // What the disk refused to remove is put off, and tried again by a later sweep.
        unseen: keys("SELECT key, 0 FROM trash WHERE seen = 0 AND tries = 0"),
    }
}

/// Keys without their hyphens, and lengths.
fn files(data: &Path) -> BTreeMap<String, u64> {
    let mut files = BTreeMap::new();
    for shard in std::fs::read_dir(data.join("objects")).unwrap() {
        for file in std::fs::read_dir(shard.unwrap().path()).unwrap() {
            let file = file.unwrap();
            let key = file.file_name().to_string_lossy().replace('-', "");
            // One that a sweep has just removed has no length.
            if let Ok(metadata) = file.metadata() {
                files.insert(key, metadata.len());
            }
        }
    }
    files
}
