//! Copies of the database, of one that is in use.

use std::fs;

use uuid::Uuid;

use crate::contract::{blob, content, finish, manifest, name, new_upload, upload_id};
use crate::{DatabaseCopy, Metadata, MetadataError, Place as Bytes, StoredObject};

use super::*;

fn object(n: u32, key: Uuid) -> StoredObject {
    StoredObject {
        digest: blob(n),
        key,
        size: content(n).len() as u64,
        missing: false,
    }
}

/// Pushes a blob that lies in an object, and leaves an upload open beside it.
async fn push(sqlite: &SqliteMetadata, n: u32) -> Uuid {
    let (key, repository) = (Uuid::new_v4(), name("a"));
    let id = upload_id(u128::from(n));
    let upload = new_upload(&repository, id, key);
    sqlite.begin_upload(upload).await.unwrap();
    let end = finish("a", n, Some((id, 0)), Bytes::Object(key));
    sqlite.finish_upload(end).await.unwrap();
    let open = upload_id(u128::from(n) + 1_000);
    let open = new_upload(&repository, open, Uuid::new_v4());
    sqlite.begin_upload(open).await.unwrap();
    key
}

/// A registry with one object, and a copy that was taken while it was open.
async fn taken(place: &Place) -> (SqliteMetadata, Uuid, PathBuf) {
    let sqlite = place.open().unwrap();
    let key = push(&sqlite, 1).await;
    let new = manifest("a", 1).with_blob(1).tagged("v1");
    sqlite.put_manifest(new).await.unwrap();
    let path = place.database().with_file_name("copy.db");
    DatabaseCopy::take(&place.database(), &path)
        .unwrap()
        .finish()
        .unwrap();
    (sqlite, key, path)
}

#[tokio::test]
async fn a_copy_has_what_was_committed_and_names_its_objects() {
    let place = Place::new();
    let (sqlite, key, path) = taken(&place).await;
    // What comes later is not in it.
    push(&sqlite, 2).await;
    let copy = DatabaseCopy::open(&path).unwrap();
    assert_eq!(copy.objects(None, 10).unwrap(), [object(1, key)]);
    assert_eq!(copy.objects(Some(key), 10).unwrap(), []);
}

#[tokio::test]
async fn a_copy_becomes_a_registry_where_there_is_none() {
    let place = Place::new();
    let (sqlite, key, path) = taken(&place).await;
    let copy = DatabaseCopy::open(&path).unwrap();
    let refused = copy.install(&place.database(), &[]).unwrap_err();
    let in_use = matches!(
        refused,
        MetadataError::InUse { .. } | MetadataError::Exists { .. }
    );
    assert!(in_use, "{refused}");
    let lines = sqlite.journal(0, 100).await.unwrap();
    drop(sqlite);
    let refused = copy.install(&place.database(), &[]).unwrap_err();
    assert!(matches!(refused, MetadataError::Exists { .. }), "{refused}");

    for missing in [false, true] {
        let other = Place::new();
        let marked: &[_] = if missing { &[(blob(1), key)] } else { &[] };
        copy.install(&other.database(), marked).unwrap();
        let sqlite = other.open().unwrap();
        let found = sqlite.blob(&name("a"), &blob(1)).await.unwrap();
        assert_eq!(found.is_some(), !missing);
        let open = sqlite.upload(&name("a"), upload_id(1_001)).await.unwrap();
        assert_eq!(open, None, "an upload without bytes");
        assert_eq!(sqlite.broken_invariants(), Vec::<String>::new());
        let history = sqlite.journal(0, 100).await.unwrap();
        assert_eq!(history, lines);
    }
}

#[tokio::test]
async fn a_copy_that_is_damaged_or_newer_is_refused() {
    let place = Place::new();
    let (_sqlite, _, path) = taken(&place).await;
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let refused = DatabaseCopy::open(&path).unwrap_err();
    assert!(matches!(refused, MetadataError::TooNew { .. }), "{refused}");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let refused = DatabaseCopy::open(&path).unwrap_err();
    assert!(
        matches!(refused, MetadataError::Damaged { .. }),
        "{refused}"
    );
    fs::remove_file(&path).unwrap();
    assert!(DatabaseCopy::open(&path).is_err());
    assert!(!path.exists(), "looking for it made one");
}
