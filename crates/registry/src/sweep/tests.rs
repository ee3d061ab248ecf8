//! Removals that fail.

use std::path::{Path, PathBuf};

use roadstead_metadata::{
    Clock as _, Horizons, ManualClock, MemoryMetadata, Meta, Timestamp, UploadId,
};
use roadstead_oci::{ActionSet, Algorithm, Grant, PrincipalName, RepositoryName};
use roadstead_storage::{AppendState, FilesystemStore, Store};
use tempfile::TempDir;

use super::*;
use crate::settings::Settings;

const HOUR: Duration = Duration::from_secs(60 * 60);
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

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

    /// Another process on the same stores.
    fn restart(&mut self) {
        let registry = &self.registry;
        self.registry = Registry::new(
            (*registry.store).clone(),
            (*registry.metadata).clone(),
            Settings::default(),
            self.clock.clone(),
            "boot".to_owned(),
        );
    }

    /// Sessions that a look at their age leaves.
    async fn left(&self, ids: &[UploadId]) -> usize {
        self.registry.expire_uploads().await.unwrap();
        let mut left = 0;
        for id in ids {
            let row = self.registry.upload_row(&self.grant, *id).await;
            left += usize::from(row.is_ok());
        }
        left
    }

    async fn session(&self) -> UploadId {
        let started = self.registry.start_upload(&self.grant, Algorithm::Sha256);
        started.await.unwrap().id
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
            let mut appender = store
                .appender(key, &AppendState::start(), Box::new(()))
                .await
                .unwrap();
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

#[tokio::test]
async fn an_upload_that_this_process_has_seen_is_idle_by_time_that_passed() {
    let age = Settings::default().purging.age;
    let right = Timestamp::default().plus(YEAR * 50);
    for (was, is) in [
        (right.plus(YEAR * 10), right),
        (Timestamp::default(), right),
        (right, right.plus(YEAR * 10)),
    ] {
        let mut world = World::new();
        world.clock.set(was);
        world.restart();
        world.clock.advance(HOUR);
        let before = world.session().await;
        world.clock.set(is);
        let after = world.session().await;
        world.clock.advance(age - HOUR);
        assert_eq!(world.left(&[before, after]).await, 2, "{was:?} to {is:?}");
        world.clock.advance(HOUR);
        if was < is {
            assert_eq!(world.left(&[before]).await, 0, "{was:?} to {is:?}");
        }
    }
}

#[tokio::test]
async fn an_upload_of_an_earlier_process_has_an_hour_to_be_gone_on_with() {
    let mut world = World::new();
    let (idle, resumed) = (world.session().await, world.session().await);
    world.clock.set(Timestamp::default().plus(YEAR * 10));
    world.restart();
    world.clock.advance(HOUR - Duration::from_secs(1));
    assert_eq!(world.left(&[idle, resumed]).await, 2);
    let grant = &world.grant;
    let mut session = world.registry.claim(grant, resumed).await.unwrap();
    world.registry.advance(&mut session).await.unwrap();
    world.clock.advance(HOUR);
    assert_eq!(world.left(&[idle]).await, 0);
    assert_eq!(world.left(&[resumed]).await, 1);
}

#[tokio::test]
async fn a_short_purging_age_is_not_made_longer_by_a_start() {
    let mut world = World::new();
    let idle = world.session().await;
    world.restart();
    world.registry.settings.purging.age = Duration::from_secs(1);
    world.clock.advance(Settings::default().purging.age);
    assert_eq!(world.left(&[idle]).await, 0);
}
