//! What the kernel sends by itself, and files that stay open.

use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;

use super::*;
use crate::contract::put;
use crate::{FilesystemStore, ObjectReader, ObjectStore as _, Store};

async fn object(bytes: &[u8]) -> (tempfile::TempDir, FilesystemStore, Key) {
    let directory = tempfile::tempdir().unwrap();
    let store = FilesystemStore::open(&directory.path().join("data")).unwrap();
    let key = put(&Store::Filesystem(store.clone()), bytes).await;
    (directory, store, key)
}

async fn chunk(reader: &mut ObjectReader) -> Bytes {
    reader.next_unread().await.unwrap().unwrap()
}

fn content(length: u32) -> Vec<u8> {
    (0..length).flat_map(u32::to_be_bytes).collect()
}

/// Sends all of it to a socket, and what came out at the other end.
fn sent(object: &Sendable, mut bytes: Bytes) -> Vec<u8> {
    let (near, mut far) = UnixStream::pair().unwrap();
    let reading = std::thread::spawn(move || {
        let mut all = Vec::new();
        far.read_to_end(&mut all).unwrap();
        all
    });
    while !bytes.is_empty() {
        let count = object.send(near.as_fd(), &bytes).unwrap();
        drop(bytes.split_to(count));
    }
    drop(near);
    reading.join().unwrap()
}

#[tokio::test]
async fn the_kernel_sends_exactly_the_range() {
    let whole = content(500_000);
    let (_directory, store, key) = object(&whole).await;
    for range in [0..2_000_000, 0..1, 7..1_048_583, 1_999_999..2_000_000] {
        let mut reader = store.open(key, range.clone(), 2_000_000).await.unwrap();
        let object = reader.sendable().unwrap();
        let mut got = Vec::new();
        while let Some(bytes) = reader.next_unread().await {
            let bytes = bytes.unwrap();
            assert!(bytes.len() <= 1 << 20 && object.has(&bytes));
            got.extend(sent(&object, bytes));
        }
        let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        assert!(got == whole[range.clone()], "{range:?}");
    }
}

/// Whoever does not know where bytes come from finds the right ones in them.
#[tokio::test]
async fn bytes_that_are_read_nevertheless_are_the_objects() {
    let whole = content(1_000);
    let (_directory, store, key) = object(&whole).await;
    let mut reader = store.open(key, 3..4_000, 4_000).await.unwrap();
    assert!(reader.sendable().is_some());
    assert_eq!(chunk(&mut reader).await, whole[3..]);
    assert!(reader.next_unread().await.is_none());
}

#[tokio::test]
async fn bytes_of_others_are_not_sent() {
    let (_directory, store, key) = object(b"ours").await;
    let mut reader = store.open(key, 0..4, 4).await.unwrap();
    let object = reader.sendable().unwrap();
    let bytes = chunk(&mut reader).await;
    let (near, _far) = UnixStream::pair().unwrap();
    for others in [&b"ours"[..], b""] {
        assert!(!object.has(others));
        let refused = object.send(near.as_fd(), others).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
    }
    // It keeps nothing open by itself.
    store.delete(key).await.unwrap();
    drop((reader, bytes));
    assert!(object.0.upgrade().is_none());
}

#[tokio::test]
async fn an_object_that_was_cut_short_breaks_off() {
    let (directory, store, key) = object(&content(100)).await;
    let mut reader = store.open(key, 0..400, 400).await.unwrap();
    let object = reader.sendable().unwrap();
    let bytes = chunk(&mut reader).await;
    let path = directory.path().join("data").join(key.object_path());
    let file = File::options().write(true).open(path).unwrap();
    file.set_len(0).unwrap();
    let (near, _far) = UnixStream::pair().unwrap();
    let refused = object.send(near.as_fd(), &bytes).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::UnexpectedEof);
    // And who asks anew is told.
    assert!(store.open(key, 0..400, 400).await.is_err());
}

#[tokio::test]
async fn an_object_that_is_gone_is_not_served_from_an_open_file() {
    for by_name in [false, true] {
        let (directory, store, key) = object(b"gone").await;
        drop(store.open(key, 0..4, 4).await.unwrap());
        if by_name {
            std::fs::remove_file(directory.path().join("data").join(key.object_path())).unwrap();
        } else {
            store.delete(key).await.unwrap();
        }
        let refused = store.open(key, 0..4, 4).await.map(drop);
        assert!(
            matches!(refused, Err(crate::StorageError::NotFound { .. })),
            "{refused:?}"
        );
    }
}

#[test]
fn only_a_part_of_the_files_stays_open() {
    let files = OpenedFiles::of(64);
    for _ in 0..100 {
        let file = File::open("/dev/null").unwrap();
        let disk = Arc::new(Disk::boundless());
        files.keep(&Arc::new(Opened::new(Key::random(), file, 0, disk)));
    }
    assert!(files.0.len() <= 4, "{}", files.0.len());
}
