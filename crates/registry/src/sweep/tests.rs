//! Removals that fail.

use std::path::{Path, PathBuf};

use roadstead_metadata::{Clock as _, Horizons, ManualClock, MemoryMetadata, Meta, Timestamp};
use roadstead_oci::{ActionSet, Algorithm, Grant, PrincipalName, RepositoryName};
use roadstead_storage::{AppendState, FilesystemStore, Store};
use tempfile::TempDir;

use super::*;
use crate::settings::Settings;

struct World {
    directory: TempDir,
    registry: Registry,
    clock: Arc<ManualClock>,
    grant: Grant,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = FilesystemStore::open(&directory.path().join("data")).unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp::default()));
        let metadata = MemoryMetadata::new(Horizons::default(), clock.clone());
        let registry = Registry::new(
            Store::Filesystem(store),
            Meta::Memory(metadata),
            Settings::default(),
            clock.clone(),
            "boot".to_owned(),
        );
        let name = RepositoryName::parse("app").unwrap();
        let grant = Grant::issue(name, ActionSet::ALL, PrincipalName::new("ada"));
        Self {
            directory,
            registry,
            clock,
            grant,
        }
    }

    /// Sessions with an object each; the files of those.
    async fn sessions(&self, count: usize) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for _ in 0..count {
            let started = self.registry.start_upload(&self.grant, Algorithm::Sha256);
            let id = started.await.unwrap().id;
            let row = self.registry.upload_row(&self.grant, id).await.unwrap();
            let key = Key::from(row.key);
            let store = &self.registry.store;
            let mut appender = store.appender(key, &AppendState::start()).await.unwrap();
            appender.write("bytes".into()).await.unwrap();
            appender.finish().await.unwrap();
            files.push(self.file(key));
            // Each is due later than the one before.
            self.clock.advance(Duration::from_micros(1));
        }
        files
    }

    fn file(&self, key: Key) -> PathBuf {
        let folders = std::fs::read_dir(self.directory.path().join("data/objects")).unwrap();
        folders
            .map(|folder| folder.unwrap().path().join(key.to_string()))
            .find(|file| file.exists())
            .unwrap()
    }

    /// Keys in the trash, due or not.
    async fn trash(&self) -> usize {
        self.clock.advance(Duration::from_secs(1 << 14));
        self.registry
            .metadata
            .trash_ready(1_000)
            .await
            .unwrap()
            .len()
    }
}

/// What unlinks nothing: a folder in the object's place.
fn jam(file: &Path) {
    std::fs::remove_file(file).unwrap();
    std::fs::create_dir(file).unwrap();
}

#[tokio::test]
async fn an_object_that_cannot_be_removed_keeps_no_other_in_the_trash() {
    let world = World::new();
    let files = world.sessions(3).await;
    jam(&files[0]);
    world.clock.advance(Settings::default().purging.age * 2);
    // Ended without a removal, as by a process that was killed then.
    let now = world.clock.now();
    let metadata = &world.registry.metadata;
    assert_eq!(metadata.expire_uploads(now, BATCH).await.unwrap().len(), 3);
    world.registry.empty_trash().await.unwrap();
    let left: Vec<bool> = files.iter().map(|file| file.exists()).collect();
    assert_eq!(left, [true, false, false]);
    assert_eq!(world.trash().await, 1);
    // The next pass takes it up again.
    std::fs::remove_dir(&files[0]).unwrap();
    world.registry.empty_trash().await.unwrap();
    assert_eq!(world.trash().await, 0);
}

#[tokio::test]
async fn an_object_that_cannot_be_removed_keeps_no_other_expired_upload() {
    let world = World::new();
    let files = world.sessions(3).await;
    jam(&files[0]);
    world.clock.advance(Settings::default().purging.age * 2);
    world.registry.expire_uploads().await.unwrap();
    let left: Vec<bool> = files.iter().map(|file| file.exists()).collect();
    assert_eq!(left, [true, false, false]);
    assert_eq!(world.trash().await, 1);
}
