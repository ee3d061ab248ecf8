//! What only a directory has: links, locks, modes, and files that somebody else changed.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;
use crate::Store;
use crate::contract::{drain, put};

fn store() -> (TempDir, PathBuf, FilesystemStore) {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("data");
    let store = FilesystemStore::open(&root).unwrap();
    (directory, root, store)
}

async fn object(store: &FilesystemStore, bytes: &[u8]) -> Key {
    put(&Store::Filesystem(store.clone()), bytes).await
}

#[tokio::test]
async fn objects_are_there_after_the_store_was_opened_again() {
    let (_directory, root, store) = store();
    let key = object(&store, b"stays").await;
    drop(store);
    let store = FilesystemStore::open(&root).unwrap();
    let reader = store.open(key, 0..5, 5).await.unwrap();
    assert_eq!(drain(reader).await.unwrap(), b"stays");
}

#[test]
fn a_second_process_is_refused_in_one_clear_line() {
    let (_directory, root, _store) = store();
    let refused = FilesystemStore::open(&root).unwrap_err();
    assert!(matches!(refused, StorageError::InUse { .. }), "{refused:?}");
    assert!(
        refused
            .to_string()
            .starts_with("another process is using the data directory")
    );
}

#[test]
fn a_directory_that_everybody_may_write_to_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mode = std::fs::Permissions::from_mode(0o757);
    std::fs::set_permissions(directory.path(), mode).unwrap();
    let refused = FilesystemStore::open(directory.path()).unwrap_err();
    assert!(
        matches!(refused, StorageError::OpenToAll { .. }),
        "{refused:?}"
    );
}

#[test]
fn new_folders_are_private() {
    let (_directory, root, _store) = store();
    for path in [root.clone(), root.join("objects"), root.join("objects/ff")] {
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o027, 0, "{path:?} {mode:o}");
    }
}

/// Reliability rule: no link is followed, its target is not touched, and health says so.
#[tokio::test]
async fn a_link_in_place_of_an_object_is_refused() {
    let (directory, root, store) = store();
    let target = directory.path().join("target");
    std::fs::write(&target, "precious").unwrap();
    let key = object(&store, b"precious").await;
    let path = root.join(key.object_path());
    std::fs::remove_file(&path).unwrap();
    symlink(&target, &path).unwrap();
    let refused = store.open(key, 0..8, 8).await.map(drop);
    assert!(
        matches!(refused, Err(StorageError::Damaged { .. })),
        "{refused:?}"
    );
    let refused = store
        .appender(key, &AppendState::at(8), Box::new(()))
        .await
        .map(drop);
    assert!(
        matches!(refused, Err(StorageError::Damaged { .. })),
        "{refused:?}"
    );
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "precious");
    assert!(store.probe().await.is_err());
}

#[tokio::test]
async fn a_link_in_place_of_a_folder_is_refused() {
    let (directory, root, store) = store();
    let key = object(&store, b"x").await;
    let elsewhere = directory.path().join("elsewhere");
    let folder = root.join(key.object_path());
    let folder = folder.parent().unwrap();
    std::fs::rename(folder, &elsewhere).unwrap();
    symlink(&elsewhere, folder).unwrap();
    assert!(store.open(key, 0..1, 1).await.is_err());
    assert!(store.delete(key).await.is_err());
    assert!(elsewhere.join(key.to_string()).exists());
    assert!(store.probe().await.is_err());
    drop(store);
    let refused = FilesystemStore::open(&root).unwrap_err();
    assert!(
        matches!(refused, StorageError::NotADirectory { .. }),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_root_that_was_replaced_is_noticed() {
    let (directory, root, store) = store();
    store.probe().await.unwrap();
    std::fs::rename(&root, directory.path().join("old")).unwrap();
    std::fs::create_dir(&root).unwrap();
    assert!(matches!(
        store.probe().await,
        Err(StorageError::NotADirectory { .. })
    ));
}

#[tokio::test]
async fn an_object_cut_short_or_longer_is_damaged() {
    let (_directory, root, store) = store();
    let key = object(&store, b"12345").await;
    let set = |length: u64| {
        let path = root.join(key.object_path());
        std::fs::File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_len(length)
            .unwrap();
    };
    for length in [4, 6] {
        set(length);
        let refused = store.open(key, 0..5, 5).await.map(drop);
        assert!(
            matches!(refused, Err(StorageError::Damaged { .. })),
            "{refused:?}"
        );
    }
}

/// A read never ends cleanly before its end.
#[tokio::test]
async fn an_object_cut_short_while_it_is_read_is_damaged() {
    let (_directory, root, store) = store();
    let key = object(&store, &vec![7; 1 << 20]).await;
    let mut reader = store.open(key, 0..1 << 20, 1 << 20).await.unwrap();
    reader.next().await.unwrap().unwrap();
    cut(&root.join(key.object_path()));
    let rest = drain(reader).await;
    assert!(
        matches!(rest, Err(StorageError::Damaged { .. })),
        "{rest:?}"
    );
}

fn cut(path: &Path) {
    std::fs::File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_len(300_000)
        .unwrap();
}

#[tokio::test]
async fn files_that_are_no_objects_are_not_listed() {
    let (_directory, root, store) = store();
    std::fs::write(root.join("objects/00/README"), "x").unwrap();
    assert!(store.list(None, 10).await.unwrap().is_empty());
}

/// A pipe in an object's place is refused, not waited for.
#[tokio::test]
async fn a_pipe_in_place_of_an_object_is_refused() {
    let (_directory, root, store) = store();
    let key = object(&store, b"x").await;
    let path = root.join(key.object_path());
    std::fs::remove_file(&path).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let refused = store.open(key, 0..1, 1).await.map(drop);
    assert!(
        matches!(refused, Err(StorageError::Damaged { .. })),
        "{refused:?}"
    );
}

/// Reliability case 99 wants few descriptors: 50 writers need 50 files, not 50 times 256.
#[tokio::test]
async fn an_idle_store_holds_two_descriptors() {
    let (_directory, root, store) = store();
    object(&store, b"x").await;
    let root = std::fs::canonicalize(&root).unwrap();
    let held = std::fs::read_dir("/proc/self/fd").unwrap().filter(|entry| {
        let target = std::fs::read_link(entry.as_ref().unwrap().path());
        target.is_ok_and(|target| target.starts_with(&root))
    });
    assert_eq!(held.count(), 2);
}

/// A later flush may say that all is well: the system tells of lost bytes only once.
#[tokio::test]
async fn an_object_that_lost_bytes_in_a_flush_is_never_sealed() {
    let (_directory, _root, store) = store();
    let key = Key::random();
    let mut appender = store
        .appender(key, &AppendState::start(), Box::new(()))
        .await
        .unwrap();
    appender.write(vec![7; 100].into()).await.unwrap();
    let state = appender.finish().await.unwrap();
    let start = || store.appender(key, &state, Box::new(()));
    let mut appender = start().await.unwrap();
    store.0.spoil(key, &StorageError::flush(Errno::IO.into()));
    let going_on = appender.flush_durable().await.map(drop);
    drop(appender);
    let again = start().await.map(drop);
    let sealed = store.seal(key, &state).await.map(drop);
    let sealed_again = store.seal(key, &state).await.map(drop);
    for refused in [going_on, again, sealed, sealed_again] {
        assert!(
            matches!(refused, Err(StorageError::Flush(_))),
            "{refused:?}"
        );
    }
    store.delete(key).await.unwrap();
    assert!(store.0.spoilt().is_empty());
}

/// More than is flushed early, in pieces of any size.
#[tokio::test]
async fn what_is_flushed_early_is_all_there() {
    let (_directory, _root, store) = store();
    let key = Key::random();
    let piece: Vec<u8> = (0..u8::MAX).cycle().take(1 << 20).collect();
    let mut appender = store
        .appender(key, &AppendState::start(), Box::new(()))
        .await
        .unwrap();
    for _ in 0..40 {
        appender.write(piece.clone().into()).await.unwrap();
    }
    let state = appender.finish().await.unwrap();
    store.seal(key, &state).await.unwrap();
    let reader = store.open(key, 0..40 << 20, 40 << 20).await.unwrap();
    assert!(drain(reader).await.unwrap() == piece.repeat(40));
}
