//! Many changes share a commit, and none of them undoes its neighbours.

use std::time::Duration;

use crate::contract::{content, finish, key, manifest, name, new_upload, tag, upload_id};
use crate::{Clock, Metadata, Place as Bytes};
use roadstead_oci::Reference;

use super::super::connection;
use super::*;

#[tokio::test]
async fn waiting_changes_share_one_commit() {
    const CHANGES: u32 = 32;
    let place = Place::new();
    let sqlite = place.open().unwrap();
    let path = place.database();
    let gate = Gate::closed(&sqlite).await;
    let mut changes = tokio::task::JoinSet::new();
    for n in 0..CHANGES {
        let (sqlite, path) = (sqlite.clone(), path.clone());
        changes.spawn(async move {
            let change = move |transaction: &super::super::writer::Transaction<'_>| {
                let insert = "INSERT INTO repository (name, created_at) VALUES (?1, 0)";
                let name = format!("r{n}");
                super::super::statement::change(transaction.connection, insert, [&name])?;
                let all = "SELECT count(*) FROM repository";
                let count = |connection: &rusqlite::Connection| {
                    one(connection, all, [], |row| Ok(row.get::<_, u32>(0)?))
                };
                let committed = count(&connection::reader(&path)?)?;
                Ok((count(transaction.connection)?, committed))
            };
            sqlite.write(change).await.unwrap()
        });
    }
    queued(&sqlite, CHANGES as usize).await;
    gate.open();
    let mut seen = changes.join_all().await;
    seen.sort_unstable();
    // Each sees its neighbours, nobody else sees any of them: it is one transaction.
    let expected: Vec<_> = (1..=CHANGES).map(Some).map(|n| (n, Some(0))).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_refused_change_does_not_undo_its_neighbours() {
    let place = Place::new();
    let sqlite = place.open().unwrap();
    let repository = name("a");
    let gate = Gate::closed(&sqlite).await;
    let first = sqlite.begin_upload(new_upload(&repository, upload_id(1), key(1)));
    let again = sqlite.begin_upload(new_upload(&repository, upload_id(1), key(2)));
    let other = name("b");
    let refused = sqlite.begin_upload(new_upload(&other, upload_id(3), key(1)));
    let last = sqlite.begin_upload(new_upload(&repository, upload_id(4), key(4)));
    let open = async {
        queued(&sqlite, 4).await;
        gate.open();
    };
    let (first, again, refused, last, ()) = tokio::join!(first, again, refused, last, open);
    assert!(first.is_ok() && last.is_ok());
    assert!(matches!(again, Err(MetadataError::Misuse(_))), "{again:?}");
    assert!(
        matches!(refused, Err(MetadataError::Misuse(_))),
        "{refused:?}"
    );
    for (n, expected) in [(1, true), (3, false), (4, true)] {
        let found = sqlite.upload(&repository, upload_id(n)).await.unwrap();
        assert_eq!(found.is_some(), expected, "session {n}");
    }
    assert_eq!(
        sqlite.journal(0, 10).await.unwrap().len(),
        1,
        "no repository but a"
    );
    assert_eq!(sqlite.broken_invariants(), Vec::<String>::new());
}

/// The last of many pushes of one tag wins, and each was acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_at_once_are_all_there() {
    const PUSHES: u32 = 64;
    let place = Place::new();
    let sqlite = place.open().unwrap();
    let mut pushes = tokio::task::JoinSet::new();
    for n in 0..PUSHES {
        let sqlite = sqlite.clone();
        pushes.spawn(async move {
            let end = finish("a", n, None, Bytes::Inline(content(n)));
            sqlite.finish_upload(end).await.unwrap();
            let new = manifest("a", n)
                .with_blob(n)
                .tagged("latest")
                .tagged(&format!("v{n}"));
            sqlite.put_manifest(new).await.unwrap();
            let seen = sqlite
                .manifest(&name("a"), &Reference::Tag(tag("latest")))
                .await;
            assert!(seen.unwrap().is_some());
        });
    }
    pushes.join_all().await;
    let tags = sqlite.tags(&name("a"), None, 1_000).await.unwrap().unwrap();
    assert_eq!(tags.items.len(), PUSHES as usize + 1);
    assert_eq!(sqlite.broken_invariants(), Vec::<String>::new());
}

#[tokio::test]
async fn a_change_whose_caller_left_happens_whole() {
    let place = Place::new();
    let sqlite = place.open().unwrap();
    let gate = Gate::closed(&sqlite).await;
    let push = sqlite.put_manifest(manifest("a", 1).tagged("v1"));
    let left = tokio::time::timeout(Duration::ZERO, push).await;
    assert!(left.is_err());
    queued(&sqlite, 1).await;
    gate.open();
    sqlite.probe().await.unwrap();
    let found = sqlite
        .manifest(&name("a"), &Reference::Tag(tag("v1")))
        .await;
    assert!(found.unwrap().is_some());
}

#[tokio::test]
async fn what_waits_is_written_before_the_database_closes() {
    let place = Place::new();
    let sqlite = place.open().unwrap();
    let gate = Gate::closed(&sqlite).await;
    let push = sqlite.put_manifest(manifest("a", 1).tagged("v1"));
    let left = tokio::time::timeout(Duration::ZERO, push).await;
    assert!(left.is_err());
    gate.open();
    // The gate's own task holds the database until it was answered.
    let sqlite = loop {
        match Arc::strong_count(&sqlite.shared) {
            1 => break sqlite,
            _ => tokio::task::yield_now().await,
        }
    };
    drop(sqlite);
    let sqlite = place.open().unwrap();
    let found = sqlite
        .manifest(&name("a"), &Reference::Tag(tag("v1")))
        .await;
    assert!(found.unwrap().is_some());
}

/// A clock that steps back after its first look.
struct Backward(std::sync::atomic::AtomicBool);

impl Clock for Backward {
    fn running(&self) -> std::time::Duration {
        std::time::Duration::ZERO
    }

    fn now(&self) -> Timestamp {
        let stepped = self.0.swap(true, std::sync::atomic::Ordering::SeqCst);
        if stepped { Timestamp::default() } else { START }
    }
}

#[tokio::test]
async fn a_clock_that_steps_back_shortens_no_lease() {
    let place = Place::new();
    let clock = Arc::new(Backward(false.into()));
    let sqlite = SqliteMetadata::open(&place.database(), false, HORIZONS, clock).unwrap();
    for n in [1, 2] {
        let end = finish("a", n, None, Bytes::Inline(content(n)));
        sqlite.finish_upload(end).await.unwrap();
        let lease = sqlite.blob_lease(&name("a"), &crate::contract::blob(n));
        assert_eq!(lease, Some(START.plus(HORIZONS.lease)));
    }
}
