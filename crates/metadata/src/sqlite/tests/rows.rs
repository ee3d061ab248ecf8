//! Rows that stay though nobody sees them, and fences that keep rows in place.

use crate::contract::{blob, content, finish, manifest, manifest_digest, name, origin};
use crate::{Metadata, Place as Bytes};

use super::super::statement::change;
use super::*;

/// An image, an index of it, a tag and an open session.
async fn filled(place: &Place) -> SqliteMetadata {
    let sqlite = place.open().unwrap();
    let end = finish("a", 1, None, Bytes::Inline(content(1)));
    sqlite.finish_upload(end).await.unwrap();
    let image = manifest("a", 1).with_blob(1).tagged("v1");
    sqlite.put_manifest(image).await.unwrap();
    sqlite
        .put_manifest(manifest("a", 2).with_child(1))
        .await
        .unwrap();
    let repository = name("b");
    let (id, key) = (crate::contract::upload_id(1), crate::contract::key(1));
    let upload = crate::contract::new_upload(&repository, id, key);
    sqlite.begin_upload(upload).await.unwrap();
    sqlite
}

#[tokio::test]
async fn foreign_keys_keep_what_is_referred_to() {
    let place = Place::new();
    let sqlite = filled(&place).await;
    let removals = [
        "DELETE FROM object",
        "DELETE FROM blob",
        "DELETE FROM manifest WHERE digest IN (SELECT digest FROM manifest_child)",
        "DELETE FROM manifest WHERE id IN (SELECT parent_id FROM manifest_child)",
        "DELETE FROM repository WHERE name = 'a'",
        "DELETE FROM repository WHERE name = 'b'",
        "UPDATE manifest_blob SET blob_id = 99",
        "UPDATE tag SET manifest_id = 99",
    ];
    for sql in removals {
        let removed = sqlite.write(move |transaction| change(transaction.connection, sql, []));
        let refusal = removed.await.expect_err(sql);
        let MetadataError::Sqlite(error) = &refusal else {
            panic!("{sql}: {refusal:?}");
        };
        let code = error.sqlite_error_code();
        assert_eq!(
            code,
            Some(rusqlite::ErrorCode::ConstraintViolation),
            "{sql}"
        );
    }
    assert_eq!(sqlite.broken_invariants(), Vec::<String>::new());
}

#[tokio::test]
async fn a_deleted_manifest_keeps_its_row_and_its_edges() {
    let place = Place::new();
    let sqlite = filled(&place).await;
    let (repository, digest) = (name("a"), manifest_digest(1));
    let deleted = sqlite.delete_manifest(&repository, &digest, origin());
    assert!(deleted.await.unwrap().is_some());
    let blob = sqlite.delete_blob(&repository, &blob(1), origin()).await;
    assert_eq!(blob.unwrap(), crate::DeleteBlob::Deleted);
    let kept = [
        (
            "SELECT 1 FROM manifest WHERE deleted_at IS NOT NULL AND length(body) > 0",
            1,
        ),
        ("SELECT 1 FROM blob WHERE deleted_at IS NOT NULL", 1),
        ("SELECT 1 FROM manifest_blob WHERE blob_id IS NOT NULL", 1),
        ("SELECT 1 FROM manifest_child WHERE child_id IS NOT NULL", 1),
        ("SELECT 1 FROM object", 1),
        ("SELECT 1 FROM tag", 0),
    ];
    for (sql, rows) in kept {
        assert_eq!(sqlite.count(sql), rows, "{sql}");
    }
    let lease = sqlite.manifest_lease(&repository, &digest);
    assert_eq!(lease, Some(START.plus(HORIZONS.undo)));
}

#[tokio::test]
async fn an_open_read_does_not_hold_up_the_writer() {
    let place = Place::new();
    let sqlite = filled(&place).await;
    let reader = super::super::connection::reader(&place.database()).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    let tags = || reader.query_row("SELECT count(*) FROM tag", [], |row| row.get::<_, i64>(0));
    assert_eq!(tags().unwrap(), 1);
    sqlite
        .put_manifest(manifest("a", 3).tagged("v3"))
        .await
        .unwrap();
    assert_eq!(tags().unwrap(), 1, "its snapshot stands");
    assert_eq!(
        sqlite.count("SELECT 1 FROM tag"),
        2,
        "a new read sees the change"
    );
}

#[tokio::test]
async fn a_reader_cannot_write() {
    let place = Place::new();
    let sqlite = filled(&place).await;
    let written = sqlite.read(|connection| change(connection, "DELETE FROM tag", []));
    assert!(
        matches!(written, Err(MetadataError::ReadOnly(_))),
        "{written:?}"
    );
}

/// A clock that was years ahead when a key came in must not keep its object for years.
#[tokio::test]
async fn trash_from_a_clock_that_was_ahead_is_due() {
    let place = Place::new();
    let sqlite = filled(&place).await;
    let id = crate::contract::upload_id(1);
    let key = sqlite.cancel_upload(&name("b"), id).await.unwrap().unwrap();
    drop(sqlite);
    let (hour, year) = (3_600_000_000i64, 31_557_600_000_000i64);
    for (ahead, due) in [(hour, false), (10 * year, true)] {
        place.tamper(&format!(
            "UPDATE trash SET due_at = {START_MICROS} + {ahead}"
        ));
        let ready = place.open().unwrap().trash_ready(10).await.unwrap();
        assert_eq!(ready.contains(&key), due, "{ahead}");
    }
}

const START_MICROS: i64 = START.as_micros();
