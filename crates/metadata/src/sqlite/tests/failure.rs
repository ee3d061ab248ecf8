//! A disk that is full, lies or ends: who is told what.

use rusqlite::ffi;
use tokio::time::{Duration, timeout};

use crate::contract::{content, finish, manifest, manifest_digest, name};
use crate::{Metadata, Place as Bytes, PutManifest};
use roadstead_oci::Reference;

use super::*;

fn engine_error(code: i32) -> MetadataError {
    rusqlite::Error::SqliteFailure(ffi::Error::new(code), None).into()
}

async fn has(sqlite: &SqliteMetadata, n: u32) -> bool {
    let reference = Reference::Digest(manifest_digest(n));
    let found = sqlite.manifest(&name("a"), &reference).await.unwrap();
    found.is_some()
}

/// Resolves at once if the writer has failed.
async fn has_failed(sqlite: &SqliteMetadata) -> bool {
    timeout(Duration::from_millis(50), sqlite.failed())
        .await
        .is_ok()
}

#[tokio::test]
async fn a_failing_disk_stops_the_writer_and_nothing_is_acknowledged() {
    let place = Place::new();
    let sqlite = place.open().unwrap();
    sqlite.put_manifest(manifest("a", 1)).await.unwrap();
    let failing = sqlite.write(|transaction| {
        let sql = "INSERT INTO repository (name, created_at) VALUES ('b', 0)";
        transaction.connection.execute(sql, [])?;
        Err::<(), _>(engine_error(ffi::SQLITE_IOERR_FSYNC))
    });
    assert!(matches!(failing.await, Err(MetadataError::Sqlite(_))));
    sqlite.failed().await;
    let refusal = sqlite.put_manifest(manifest("a", 2)).await;
    assert!(
        matches!(refusal, Err(MetadataError::Stopped)),
        "{refusal:?}"
    );
    assert!(matches!(sqlite.probe().await, Err(MetadataError::Stopped)));
    // Reads go on until the process ends.
    assert!(has(&sqlite, 1).await);
    assert_eq!(sqlite.count("SELECT 1 FROM repository"), 1);
}

#[tokio::test]
async fn a_change_that_panics_stops_the_writer() {
    let place = Place::new();
    let sqlite = place.open().unwrap();
    let panicking = sqlite.write::<()>(|_| panic!("on purpose, the test wants to see it handled"));
    assert!(matches!(panicking.await, Err(MetadataError::Stopped)));
    sqlite.failed().await;
    let refusal = sqlite.put_manifest(manifest("a", 2)).await;
    assert!(
        matches!(refusal, Err(MetadataError::Stopped)),
        "{refusal:?}"
    );
}

#[tokio::test]
async fn a_full_disk_refuses_pushes_until_there_is_room() {
    let place = Place::new();
    let sqlite = place.open().unwrap();
    sqlite
        .put_manifest(manifest("a", 1).tagged("v1"))
        .await
        .unwrap();
    let pages = |sql: &'static str| {
        sqlite.write(move |transaction| {
            Ok(transaction
                .connection
                .query_row(sql, [], |row| row.get::<_, i64>(0))?)
        })
    };
    let used = pages("PRAGMA page_count").await.unwrap();
    // SQLite's own limit gives the same error as a disk without room.
    pages("PRAGMA max_page_count = 1").await.unwrap();
    let mut large = manifest("a", 2);
    large.body = vec![b'x'; 100_000].into();
    let refusal = sqlite.put_manifest(large.clone()).await;
    assert!(
        matches!(refusal, Err(MetadataError::Full(_))),
        "{refusal:?}"
    );
    assert!(!has(&sqlite, 2).await);
    assert!(!has_failed(&sqlite).await);

    assert!(has(&sqlite, 1).await);
    let origin = crate::contract::origin();
    let deleted = sqlite
        .delete_tag(&name("a"), &crate::contract::tag("v1"), origin)
        .await;
    assert!(deleted.unwrap(), "{used} pages");

    pages("PRAGMA max_page_count = 1000000").await.unwrap();
    let put = sqlite.put_manifest(large).await.unwrap();
    assert_eq!(put, PutManifest::Stored { created: true });
    assert_eq!(sqlite.broken_invariants(), Vec::<String>::new());
}

#[tokio::test]
async fn an_error_of_the_engine_that_says_nothing_of_the_disk_stops_nothing() {
    let place = Place::new();
    let sqlite = place.open().unwrap();
    for code in [ffi::SQLITE_FULL, ffi::SQLITE_CONSTRAINT, ffi::SQLITE_NOMEM] {
        let failing = sqlite.write(move |_| Err::<(), _>(engine_error(code)));
        assert!(failing.await.is_err());
    }
    sqlite.put_manifest(manifest("a", 1)).await.unwrap();
    assert!(!has_failed(&sqlite).await);
}

#[tokio::test]
async fn a_value_that_no_release_writes_is_unreadable() {
    let place = Place::new();
    let sqlite = place.open().unwrap();
    let end = finish("a", 1, None, Bytes::Inline(content(1)));
    sqlite.finish_upload(end).await.unwrap();
    let tampered = sqlite.write(|transaction| {
        Ok(transaction
            .connection
            .execute("UPDATE journal SET action = 'tag.explode'", [])?)
    });
    tampered.await.unwrap();
    let refusal = sqlite.journal(0, 10).await;
    assert!(
        matches!(refusal, Err(MetadataError::Unreadable { .. })),
        "{refusal:?}"
    );
}
