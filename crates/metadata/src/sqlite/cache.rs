//! What was read lately and has not changed since.
//!
//! A row that is kept carries the epoch that its name had before it was read. The writer makes a
//! name's epoch odd before it commits a change of it and even again after: a row whose epoch is not
//! its name's any more is not taken, and what is read while a change is being committed is not
//! kept. So a read that begins after a commit has been answered never finds what was there before,
//! and neither does one that begins after another read has found the new row. Names share epochs by
//! their hash: a change may drop more than it must, never less.

use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::Weighter;
use roadstead_oci::{Digest, Reference, RepositoryName, Tag};

use crate::change::Place;
use crate::rows::{BlobRow, ManifestRow};

/// What a row is read by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Name {
    repository: RepositoryName,
    content: Content,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Content {
    Tag(Tag),
    Manifest(Digest),
    Blob(Digest),
}

impl Name {
    pub(super) fn manifest(repository: &RepositoryName, reference: &Reference) -> Name {
        Name {
            repository: repository.clone(),
            content: match reference {
                Reference::Tag(tag) => Content::Tag(tag.clone()),
                Reference::Digest(digest) => Content::Manifest(*digest),
            },
        }
    }

    pub(super) fn blob(repository: &RepositoryName, digest: &Digest) -> Name {
        Name {
            repository: repository.clone(),
            content: Content::Blob(*digest),
        }
    }
}

/// A row that is kept, with the epoch that it was read in.
#[derive(Clone)]
struct Kept {
    epoch: u64,
    row: Row,
}

#[derive(Clone)]
enum Row {
    Manifest(ManifestRow),
    Blob(BlobRow),
}

/// Rows by their names, and the epochs of all names.
pub(super) struct Cache {
    rows: quick_cache::sync::Cache<Name, Kept, ByBytes>,
    epochs: Epochs,
}

impl Cache {
    pub(super) fn new() -> Cache {
        Cache {
            rows: quick_cache::sync::Cache::with_weighter(ROWS, BYTES_MAX, ByBytes),
            epochs: Epochs::new(),
        }
    }

    pub(super) fn manifest(&self, name: &Name) -> Option<ManifestRow> {
        match self.row(name)? {
            Row::Manifest(row) => Some(row),
            Row::Blob(_) => None,
        }
    }

    pub(super) fn blob(&self, name: &Name) -> Option<BlobRow> {
        match self.row(name)? {
            Row::Blob(row) => Some(row),
            Row::Manifest(_) => None,
        }
    }

    fn row(&self, name: &Name) -> Option<Row> {
        let kept = self.rows.get(name)?;
        (kept.epoch == self.epochs.of(name)).then_some(kept.row)
    }

    /// The epoch that a row which is read now belongs to.
    pub(super) fn epoch(&self, name: &Name) -> u64 {
        self.epochs.of(name)
    }

    /// Keeps what was read after `epoch` was asked for.
    pub(super) fn keep_manifest(&self, name: Name, epoch: u64, row: &ManifestRow) {
        if row.body.len() <= ROW_BYTES_MAX {
            self.keep(name, epoch, Row::Manifest(row.clone()));
        }
    }

    /// Keeps what was read after `epoch` was asked for.
    pub(super) fn keep_blob(&self, name: Name, epoch: u64, row: &BlobRow) {
        self.keep(name, epoch, Row::Blob(row.clone()));
    }

    fn keep(&self, name: Name, epoch: u64, row: Row) {
        if epoch.is_multiple_of(2) {
            self.rows.insert(name, Kept { epoch, row });
        }
    }

    pub(super) fn epochs(&self) -> &Epochs {
        &self.epochs
    }
}

/// One number for each of many groups of names: odd while a change of one is being committed.
pub(super) struct Epochs {
    hasher: RandomState,
    numbers: Box<[AtomicU64]>,
}

/// Names that a transaction changes, by the place of their epochs.
#[derive(Debug, Default)]
pub(super) struct Touched(Vec<usize>);

impl Epochs {
    fn new() -> Epochs {
        Epochs {
            hasher: RandomState::new(),
            numbers: (0..EPOCHS).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    fn of(&self, name: &Name) -> u64 {
        let place = match &name.content {
            Content::Tag(tag) => self.place((&name.repository, tag)),
            // In whatever repository: a blob's object may change for all of them at once.
            Content::Manifest(digest) | Content::Blob(digest) => self.place(digest),
        };
        self.numbers[place].load(Ordering::SeqCst)
    }

    fn place(&self, name: impl Hash) -> usize {
        // The modulus fits whatever a usize is.
        #[expect(clippy::cast_possible_truncation, reason = "EPOCHS is small")]
        let place = (self.hasher.hash_one(name) % EPOCHS as u64) as usize;
        place
    }

    pub(super) fn touch_tag(&self, touched: &mut Touched, repository: &RepositoryName, tag: &Tag) {
        touched.0.push(self.place((repository, tag)));
    }

    pub(super) fn touch_digest(&self, touched: &mut Touched, digest: &Digest) {
        touched.0.push(self.place(digest));
    }

    /// Right before the commit. Only the writer's thread calls it, and then [`Epochs::committed`].
    pub(super) fn committing(&self, touched: &mut Touched) {
        touched.0.sort_unstable();
        touched.0.dedup();
        self.advance(touched);
    }

    /// Right after the commit, whatever became of it.
    pub(super) fn committed(&self, touched: &Touched) {
        self.advance(touched);
    }

    fn advance(&self, touched: &Touched) {
        for place in &touched.0 {
            self.numbers[*place].fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Name, Kept> for ByBytes {
    fn weight(&self, _: &Name, kept: &Kept) -> u64 {
        let bytes = match &kept.row {
            Row::Manifest(row) => row.body.len(),
            Row::Blob(row) => match &row.place {
                Place::Inline(bytes) => bytes.len(),
                Place::Object(_) => 0,
            },
        };
        (bytes + ENTRY_BYTES) as u64
    }
}

/// Bytes that all kept rows may take.
const BYTES_MAX: u64 = 32 << 20;
/// Rows that are expected to be kept.
const ROWS: usize = 8_192;
/// Bytes of a manifest that is kept, at most: larger ones are rare, and dear to keep.
pub(super) const ROW_BYTES_MAX: usize = 64 << 10;
/// Bytes of a row beside its content: names, digests, the cache's own.
const ENTRY_BYTES: usize = 512;
/// Groups of names with an epoch each.
const EPOCHS: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_not_kept_while_it_changes_and_has_another_epoch_after() {
        let (epochs, mut touched) = (Epochs::new(), Touched::default());
        let (repository, tag) = (
            RepositoryName::parse("a").unwrap(),
            Tag::parse("v1").unwrap(),
        );
        let name = Name::manifest(&repository, &Reference::Tag(tag.clone()));
        // Twice in one batch is once.
        epochs.touch_tag(&mut touched, &repository, &tag);
        epochs.touch_tag(&mut touched, &repository, &tag);
        let before = epochs.of(&name);
        epochs.committing(&mut touched);
        assert!(!epochs.of(&name).is_multiple_of(2));
        epochs.committed(&touched);
        let after = epochs.of(&name);
        assert!(after.is_multiple_of(2) && after > before);
    }
}
