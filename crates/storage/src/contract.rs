//! The contract of [`ObjectStore`](crate::ObjectStore), one test a clause, run unchanged on every
//! store.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use crate::{
    AppendState, FilesystemStore, Key, MemoryStore, ObjectReader, ObjectStore, StorageError, Store,
    Witness,
};

/// A store and what must outlive it.
pub(crate) struct Fixture {
    pub(crate) store: Store,
    _directory: Option<tempfile::TempDir>,
}

fn memory() -> Fixture {
    Fixture {
        store: Store::Memory(MemoryStore::default()),
        _directory: None,
    }
}

fn filesystem() -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let store = FilesystemStore::open(&directory.path().join("data")).unwrap();
    Fixture {
        store: Store::Filesystem(store),
        _directory: Some(directory),
    }
}

/// Stamps each clause on each store.
macro_rules! contract {
    ($($clause:ident),* $(,)?) => {
        mod on_memory {
            $(#[tokio::test] async fn $clause() { super::$clause(super::memory()).await; })*
        }
        mod on_filesystem {
            $(#[tokio::test] async fn $clause() { super::$clause(super::filesystem()).await; })*
        }
    };
}

contract!(
    what_is_sealed_is_read_back,
    ranges_are_read_exactly,
    an_object_grows_over_several_appenders,
    bytes_behind_the_state_are_cut_off,
    a_session_that_starts_again_starts_empty,
    an_object_that_lost_bytes_is_damaged,
    an_object_of_another_length_is_not_sealed_and_not_opened,
    what_is_not_there_is_not_found,
    a_removed_object_is_gone_and_may_be_removed_again,
    lists_go_on_behind_the_last_key,
    a_flushed_object_goes_on,
    a_sealed_object_may_still_be_appended_to_by_its_session,
    bytes_behind_the_state_are_not_sealed,
    many_small_pieces_make_an_object,
    a_witness_sees_what_is_written_in_order_and_once,
    a_writer_that_went_away_writes_nothing_over_the_next_one,
    an_open_reader_outlives_the_object,
    many_objects_grow_at_once,
    a_store_that_works_says_so,
);

pub(crate) async fn write(
    store: &Store,
    key: Key,
    from: &AppendState,
    bytes: &[u8],
) -> AppendState {
    let mut appender = store.appender(key, from, Box::new(())).await.unwrap();
    for chunk in bytes.chunks(10_000) {
        appender.write(Bytes::copy_from_slice(chunk)).await.unwrap();
    }
    appender.finish().await.unwrap()
}

pub(crate) async fn put(store: &Store, bytes: &[u8]) -> Key {
    let key = Key::random();
    let state = write(store, key, &AppendState::start(), bytes).await;
    let sealed = store.seal(key, &state).await.unwrap();
    assert_eq!(
        (sealed.key(), sealed.size_bytes()),
        (key, bytes.len() as u64)
    );
    key
}

pub(crate) async fn drain(mut reader: ObjectReader) -> Result<Vec<u8>, StorageError> {
    let mut all = Vec::new();
    while let Some(chunk) = reader.next().await {
        let chunk = chunk?;
        assert!(!chunk.is_empty() && chunk.len() <= 256 << 10);
        all.extend_from_slice(&chunk);
    }
    Ok(all)
}

async fn read(store: &Store, key: Key, range: Range<u64>, size: u64) -> Vec<u8> {
    drain(store.open(key, range, size).await.unwrap())
        .await
        .unwrap()
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| u8::try_from(at % 251).unwrap())
        .collect()
}

async fn what_is_sealed_is_read_back(fixture: Fixture) {
    for length in [0, 1, 10_000, 262_144, 1_000_001] {
        let bytes = pattern(length);
        let key = put(&fixture.store, &bytes).await;
        let size = length as u64;
        assert_eq!(fixture.store.length(key).await.unwrap(), Some(size));
        assert_eq!(read(&fixture.store, key, 0..size, size).await, bytes);
    }
}

async fn ranges_are_read_exactly(fixture: Fixture) {
    let bytes = pattern(600_000);
    let key = put(&fixture.store, &bytes).await;
    for range in [
        0..1,
        0..600_000,
        599_999..600_000,
        5..5,
        1_000..300_000,
        262_143..262_145,
    ] {
        let (start, end) = (range.start as usize, range.end as usize);
        let found = read(&fixture.store, key, range, 600_000).await;
        assert_eq!(found, bytes[start..end]);
    }
}

async fn an_object_grows_over_several_appenders(fixture: Fixture) {
    let (store, key) = (&fixture.store, Key::random());
    let mut state = AppendState::start();
    for part in ["one", "", "two", "three"] {
        state = write(store, key, &state, part.as_bytes()).await;
        // As another process would have it.
        state = AppendState::from_bytes(&state.to_bytes()).unwrap();
    }
    assert_eq!(state.offset(), 11);
    store.seal(key, &state).await.unwrap();
    assert_eq!(read(store, key, 0..11, 11).await, b"onetwothree");
}

async fn bytes_behind_the_state_are_cut_off(fixture: Fixture) {
    let (store, key) = (&fixture.store, Key::random());
    let kept = write(store, key, &AppendState::start(), b"kept").await;
    write(store, key, &kept, b" and forgotten").await;
    let state = write(store, key, &kept, b"!").await;
    store.seal(key, &state).await.unwrap();
    assert_eq!(read(store, key, 0..5, 5).await, b"kept!");
}

async fn a_session_that_starts_again_starts_empty(fixture: Fixture) {
    let (store, key) = (&fixture.store, Key::random());
    write(store, key, &AppendState::start(), b"first try").await;
    let state = write(store, key, &AppendState::start(), b"again").await;
    store.seal(key, &state).await.unwrap();
    assert_eq!(read(store, key, 0..5, 5).await, b"again");
}

async fn an_object_that_lost_bytes_is_damaged(fixture: Fixture) {
    let (store, key) = (&fixture.store, Key::random());
    write(store, key, &AppendState::start(), b"12345").await;
    let ahead = AppendState::at(6);
    let refused = store.appender(key, &ahead, Box::new(())).await.map(drop);
    assert!(
        matches!(refused, Err(StorageError::Damaged { .. })),
        "{refused:?}"
    );
}

async fn an_object_of_another_length_is_not_sealed_and_not_opened(fixture: Fixture) {
    let (store, key) = (&fixture.store, Key::random());
    let state = write(store, key, &AppendState::start(), b"12345").await;
    let refused = store.seal(key, &AppendState::at(6)).await.map(drop);
    assert!(
        matches!(refused, Err(StorageError::Damaged { .. })),
        "{refused:?}"
    );
    store.seal(key, &state).await.unwrap();
    for other in [4, 6] {
        let refused = store.open(key, 0..1, other).await.map(drop);
        assert!(
            matches!(refused, Err(StorageError::Damaged { .. })),
            "{refused:?}"
        );
    }
}

async fn what_is_not_there_is_not_found(fixture: Fixture) {
    let (store, key) = (&fixture.store, Key::random());
    assert_eq!(store.length(key).await.unwrap(), None);
    let ahead = AppendState::at(1);
    for refused in [
        store.open(key, 0..1, 1).await.map(drop),
        store.seal(key, &AppendState::start()).await.map(drop),
        store.appender(key, &ahead, Box::new(())).await.map(drop),
    ] {
        assert!(
            matches!(refused, Err(StorageError::NotFound { .. })),
            "{refused:?}"
        );
    }
}

async fn a_removed_object_is_gone_and_may_be_removed_again(fixture: Fixture) {
    let store = &fixture.store;
    let key = put(store, b"x").await;
    for _ in 0..2 {
        store.delete(key).await.unwrap();
        assert_eq!(store.length(key).await.unwrap(), None);
    }
}

async fn lists_go_on_behind_the_last_key(fixture: Fixture) {
    let store = &fixture.store;
    assert!(store.list(None, 10).await.unwrap().is_empty());
    let mut keys = Vec::new();
    for _ in 0..20 {
        keys.push(put(store, b"x").await);
    }
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = store.list(after, 3).await.unwrap();
        assert!(page.len() <= 3);
        let Some(last) = page.last() else { break };
        after = Some(*last);
        listed.extend(page);
    }
    keys.sort_by_key(|key| (key.shard(), *key));
    assert_eq!(listed, keys);
}

async fn a_flushed_object_goes_on(fixture: Fixture) {
    let (store, key) = (&fixture.store, Key::random());
    let mut appender = store
        .appender(key, &AppendState::start(), Box::new(()))
        .await
        .unwrap();
    appender
        .write(Bytes::from_static(b"durable"))
        .await
        .unwrap();
    assert_eq!(appender.flush_durable().await.unwrap().offset(), 7);
    appender
        .write(Bytes::from_static(b" and more"))
        .await
        .unwrap();
    let state = appender.finish().await.unwrap();
    store.seal(key, &state).await.unwrap();
    assert_eq!(read(store, key, 0..16, 16).await, b"durable and more");
}

async fn a_sealed_object_may_still_be_appended_to_by_its_session(fixture: Fixture) {
    let (store, key) = (&fixture.store, Key::random());
    let state = write(store, key, &AppendState::start(), b"sealed").await;
    store.seal(key, &state).await.unwrap();
    // The row was never written: the client closes the session once more, with more bytes.
    let state = write(store, key, &state, b" twice").await;
    store.seal(key, &state).await.unwrap();
    assert_eq!(read(store, key, 0..12, 12).await, b"sealed twice");
}

async fn bytes_behind_the_state_are_not_sealed(fixture: Fixture) {
    let (store, key) = (&fixture.store, Key::random());
    let kept = write(store, key, &AppendState::start(), b"kept").await;
    write(store, key, &kept, b" and forgotten").await;
    store.seal(key, &kept).await.unwrap();
    assert_eq!(read(store, key, 0..4, 4).await, b"kept");
}

async fn many_small_pieces_make_an_object(fixture: Fixture) {
    let (store, key) = (&fixture.store, Key::random());
    let bytes = pattern(600_000);
    let mut appender = store
        .appender(key, &AppendState::start(), Box::new(()))
        .await
        .unwrap();
    let mut rest = Bytes::from(bytes.clone());
    for length in [1, 7, 4_095, 4_096, 3, 9_000].iter().cycle() {
        if rest.is_empty() {
            break;
        }
        appender
            .write(rest.split_to(rest.len().min(*length)))
            .await
            .unwrap();
    }
    let state = appender.finish().await.unwrap();
    store.seal(key, &state).await.unwrap();
    assert_eq!(read(store, key, 0..600_000, 600_000).await, bytes);
}

/// Remembers what it saw.
#[derive(Debug, Clone, Default)]
struct Seen(Arc<Mutex<Vec<u8>>>);

impl Witness for Seen {
    fn see(&mut self, bytes: &[u8]) {
        self.0.lock().unwrap().extend_from_slice(bytes);
    }
}

async fn a_witness_sees_what_is_written_in_order_and_once(fixture: Fixture) {
    let (store, bytes) = (&fixture.store, pattern(1_500_000));
    for length in [1_000, 70_001, 131_071, 131_072, 131_073, 1_500_000] {
        let (key, seen) = (Key::random(), Seen::default());
        let start = AppendState::start();
        let appender = store.appender(key, &start, Box::new(seen.clone())).await;
        let mut appender = appender.unwrap();
        let mut flushed = 0;
        for (number, piece) in bytes.chunks(length).enumerate() {
            appender.write(Bytes::copy_from_slice(piece)).await.unwrap();
            // A flush on the way changes nothing, and all that came has been seen.
            if number % 5 == 3 {
                appender.flush_durable().await.unwrap();
                flushed = (number + 1) * length;
                let seen = seen.0.lock().unwrap();
                assert_eq!(*seen, bytes[..bytes.len().min(flushed)], "{length}");
            }
        }
        assert!(flushed > 0 || length > 400_000);
        let state = appender.finish().await.unwrap();
        assert!(*seen.0.lock().unwrap() == bytes, "{length}");
        // The next appender's witness sees what comes to that.
        let more = Seen::default();
        let appender = store.appender(key, &state, Box::new(more.clone())).await;
        let mut appender = appender.unwrap();
        appender.write(Bytes::from_static(b"more")).await.unwrap();
        appender.finish().await.unwrap();
        assert_eq!(*more.0.lock().unwrap(), b"more");
    }
}

async fn a_writer_that_went_away_writes_nothing_over_the_next_one(fixture: Fixture) {
    let store = &fixture.store;
    for _ in 0..50 {
        let key = Key::random();
        let mut gone = store
            .appender(key, &AppendState::start(), Box::new(()))
            .await
            .unwrap();
        gone.write(Bytes::from(vec![1; 300_000])).await.unwrap();
        drop(gone);
        let bytes = vec![2; 300_000];
        let state = write(store, key, &AppendState::start(), &bytes).await;
        store.seal(key, &state).await.unwrap();
        assert_eq!(read(store, key, 0..300_000, 300_000).await, bytes);
    }
}

async fn an_open_reader_outlives_the_object(fixture: Fixture) {
    let store = &fixture.store;
    let bytes = pattern(1_000_000);
    let key = put(store, &bytes).await;
    let reader = store.open(key, 0..1_000_000, 1_000_000).await.unwrap();
    store.delete(key).await.unwrap();
    assert_eq!(drain(reader).await.unwrap(), bytes);
}

async fn many_objects_grow_at_once(fixture: Fixture) {
    let tasks = (0..50).map(|number| {
        let store = fixture.store.clone();
        tokio::spawn(async move {
            let bytes = vec![number; 300_000];
            let key = put(&store, &bytes).await;
            read(&store, key, 0..300_000, 300_000).await == bytes
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        assert!(task.await.unwrap());
    }
}

async fn a_store_that_works_says_so(fixture: Fixture) {
    fixture.store.probe().await.unwrap();
}
