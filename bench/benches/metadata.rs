//! The metadata store: reads by index, and changes that share one flush.

use std::sync::Arc;

use bytes::Bytes;
use divan::Bencher;
use divan::counter::ItemsCount;
use futures_util::future::join_all;
use roadstead_metadata::{Horizons, Metadata, NewManifest, Origin, SqliteMetadata, SystemClock};
use roadstead_oci::{Algorithm, Digest, MediaType, Reference, RepositoryName, Tag};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const REPOSITORY: &str = "bench/app";
/// Manifests in the store, each with a tag.
const STORED: u32 = 2_000;

fn main() {
    divan::main();
}

/// A store in a directory of its own.
struct Store {
    metadata: SqliteMetadata,
    runtime: Runtime,
    _directory: TempDir,
}

#[allow(clippy::unwrap_used, reason = "a benchmark ends where its store fails")]
impl Store {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("roadstead.db");
        let clock = Arc::new(SystemClock);
        let store = Self {
            metadata: SqliteMetadata::open(&path, false, Horizons::default(), clock).unwrap(),
            runtime: tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap(),
            _directory: directory,
        };
        store.put(0..STORED);
        store
    }

    /// Puts these manifests, all under way at once.
    fn put(&self, numbers: std::ops::Range<u32>) {
        let puts = numbers.map(|number| self.metadata.put_manifest(manifest(number)));
        let stored = self.runtime.block_on(join_all(puts));
        assert!(stored.iter().all(Result::is_ok));
    }
}

#[allow(clippy::unwrap_used, reason = "constants that are valid")]
fn digest(number: u32) -> Digest {
    let mut hash = [7; 32];
    hash[..4].copy_from_slice(&number.to_be_bytes());
    Digest::from_bytes(Algorithm::Sha256, &hash).unwrap()
}

#[allow(clippy::unwrap_used, reason = "constants that are valid")]
fn tag(number: u32) -> Tag {
    Tag::parse(&format!("v{number}")).unwrap()
}

#[allow(clippy::unwrap_used, reason = "constants that are valid")]
fn repository() -> RepositoryName {
    RepositoryName::parse(REPOSITORY).unwrap()
}

#[allow(clippy::unwrap_used, reason = "constants that are valid")]
fn manifest(number: u32) -> NewManifest {
    NewManifest {
        repository: repository(),
        digest: digest(number),
        media_type: MediaType::parse("application/vnd.oci.image.manifest.v1+json").unwrap(),
        artifact_type: None,
        subject: None,
        body: Bytes::from(vec![b' '; 1_200]),
        referrer: None,
        blobs: Vec::new(),
        children: Vec::new(),
        overwrite: true,
        tags: vec![tag(number)],
        origin: Origin::default(),
    }
}

#[divan::bench]
fn manifest_by_tag(bencher: Bencher) {
    read_manifest(bencher, Reference::Tag(tag(STORED / 2)));
}

#[divan::bench]
fn manifest_by_digest(bencher: Bencher) {
    read_manifest(bencher, Reference::Digest(digest(STORED / 2)));
}

fn read_manifest(bencher: Bencher, reference: Reference) {
    let store = Store::new();
    let repository = repository();
    bencher.bench_local(|| {
        let read = store.metadata.manifest(&repository, &reference);
        let found = store.runtime.block_on(read);
        assert!(matches!(found, Ok(Some(_))));
    });
}

#[divan::bench]
fn manifest_summary_by_tag(bencher: Bencher) {
    let store = Store::new();
    let repository = repository();
    let reference = Reference::Tag(tag(STORED / 2));
    bencher.bench_local(|| {
        let read = store.metadata.manifest_summary(&repository, &reference);
        let found = store.runtime.block_on(read);
        assert!(matches!(found, Ok(Some(_))));
    });
}

/// So many manifests that are put at once; the first of them waits for nobody.
#[divan::bench(args = [1, 16, 256], sample_count = 50, sample_size = 1)]
fn group_commit(bencher: Bencher, changes: u32) {
    let store = Store::new();
    let mut next = STORED;
    bencher
        .counter(ItemsCount::new(changes))
        .bench_local(move || {
            store.put(next..next + changes);
            next += changes;
        });
}
