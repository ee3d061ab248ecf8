//! The tables as ordered maps, the indexes beside them, and the journal.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use bytes::Bytes;
use roadstead_oci::{Digest, MediaType, RepositoryName, Tag};
use uuid::Uuid;

use crate::account::{AccountKind, AccountRow};
use crate::change::{Origin, Place};
use crate::clock::Timestamp;
use crate::journal::{AccountEntry, Change, Entry, JournalRow};
use crate::rows::{RepositoryId, UploadId, UploadRow};
use crate::secret::SecretRow;

use super::{JOURNAL_MAX, Moment};

#[derive(Default)]
pub(super) struct State {
    pub(super) last_change: Timestamp,
    pub(super) repositories: BTreeMap<RepositoryName, Repository>,
    pub(super) names: HashMap<RepositoryId, RepositoryName>,
    pub(super) objects: HashMap<Digest, Object>,
    pub(super) blobs: HashMap<(RepositoryId, Digest), Link>,
    /// Which repositories link a digest, visibly or not.
    pub(super) holders: HashMap<Digest, BTreeSet<RepositoryId>>,
    pub(super) manifests: HashMap<(RepositoryId, Digest), Manifest>,
    /// Which manifests, visible or not, name a blob.
    pub(super) named_by: HashMap<(RepositoryId, Digest), BTreeSet<Digest>>,
    /// Which manifests, visible or not, have a subject.
    pub(super) referrers: HashMap<(RepositoryId, Digest), BTreeSet<Digest>>,
    pub(super) tags: HashMap<RepositoryId, BTreeMap<Tag, Digest>>,
    pub(super) uploads: HashMap<UploadId, UploadRow>,
    /// The keys of open sessions.
    pub(super) upload_keys: HashSet<Uuid>,
    pub(super) expiry: BTreeSet<(Timestamp, UploadId)>,
    pub(super) sessions: HashMap<String, u64>,
    pub(super) trash: BTreeMap<Uuid, Trash>,
    pub(super) journal: VecDeque<JournalRow>,
    pub(super) last_seq: u64,
    pub(super) secrets: HashMap<String, SecretRow>,
    /// The version of the newest secret.
    pub(super) last_secret: u64,
    pub(super) accounts: BTreeMap<(AccountKind, String), AccountRow>,
}

#[derive(Clone, Copy)]
pub(super) struct Repository {
    pub(super) id: RepositoryId,
    pub(super) listed: bool,
}

pub(super) struct Object {
    pub(super) place: Place,
    pub(super) size_bytes: u64,
    /// Its bytes are known to be gone or damaged.
    pub(super) missing: bool,
}

pub(super) struct Link {
    pub(super) linked_at: Timestamp,
    pub(super) deleted: bool,
    pub(super) lease_until: Timestamp,
}

pub(super) struct Manifest {
    pub(super) media_type: MediaType,
    pub(super) artifact_type: Option<String>,
    pub(super) body: Bytes,
    pub(super) referrer: Option<Bytes>,
    pub(super) blobs: BTreeSet<Digest>,
    pub(super) children: BTreeSet<Digest>,
    pub(super) pushed_at: Timestamp,
    pub(super) deleted: bool,
    pub(super) lease_until: Timestamp,
}

#[derive(Clone, Copy)]
pub(super) struct Trash {
    pub(super) due: Timestamp,
    pub(super) tries: u32,
    /// A reader may have been given the key.
    pub(super) seen: bool,
}

impl State {
    pub(super) fn repository(&self, name: &RepositoryName) -> Option<RepositoryId> {
        self.repositories.get(name).map(|repository| repository.id)
    }

    pub(super) fn ensure_repository(
        &mut self,
        moment: Moment,
        name: &RepositoryName,
        origin: &Origin,
    ) -> RepositoryId {
        if let Some(id) = self.repository(name) {
            return id;
        }
        let id = RepositoryId::new(i64::try_from(self.names.len()).map_or(i64::MAX, |n| n + 1));
        self.repositories
            .insert(name.clone(), Repository { id, listed: false });
        self.names.insert(id, name.clone());
        self.write_line(
            moment,
            Entry::new(Change::RepositoryCreate, id, name),
            origin,
        );
        id
    }

    /// The visible link.
    pub(super) fn link(&self, repository: RepositoryId, digest: &Digest) -> Option<&Link> {
        self.blobs
            .get(&(repository, *digest))
            .filter(|link| !link.deleted)
    }

    /// The visible manifest.
    pub(super) fn manifest_row(
        &self,
        repository: RepositoryId,
        digest: &Digest,
    ) -> Option<&Manifest> {
        self.manifests
            .get(&(repository, *digest))
            .filter(|manifest| !manifest.deleted)
    }

    /// The object, where its bytes are not known to be missing.
    pub(super) fn object(&self, digest: &Digest) -> Option<&Object> {
        self.objects.get(digest).filter(|object| !object.missing)
    }

    pub(super) fn throw_away(&mut self, moment: Moment, key: Uuid, seen: bool) {
        self.trash.insert(
            key,
            Trash {
                due: moment.now,
                tries: 0,
                seen,
            },
        );
    }

    pub(super) fn write_line(&mut self, moment: Moment, entry: Entry<'_>, origin: &Origin) {
        let seq = self.last_seq + 1;
        self.keep_line(JournalRow {
            seq,
            at: moment.now,
            actor: origin.actor.clone(),
            change: entry.change,
            repository: Some(entry.repository),
            tag: entry.tag.cloned(),
            digest: entry.digest,
            previous: entry.previous,
            detail: entry.detail(origin),
        });
    }

    /// Writes a line about an account and returns its number.
    pub(super) fn write_account_line(
        &mut self,
        moment: Moment,
        entry: &AccountEntry<'_>,
        origin: &Origin,
    ) -> u64 {
        let seq = self.last_seq + 1;
        self.keep_line(JournalRow {
            seq,
            at: moment.now,
            actor: origin.actor.clone(),
            change: entry.change,
            repository: None,
            tag: None,
            digest: None,
            previous: None,
            detail: entry.detail(origin),
        });
        seq
    }

    fn keep_line(&mut self, line: JournalRow) {
        self.last_seq = line.seq;
        self.journal.push_back(line);
        if self.journal.len() > JOURNAL_MAX {
            self.journal.pop_front();
        }
    }

    #[cfg(test)]
    pub(super) fn blob_lease(&self, name: &RepositoryName, digest: &Digest) -> Option<Timestamp> {
        let id = self.repository(name)?;
        self.blobs.get(&(id, *digest)).map(|link| link.lease_until)
    }

    #[cfg(test)]
    pub(super) fn manifest_lease(
        &self,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Option<Timestamp> {
        let id = self.repository(name)?;
        self.manifests
            .get(&(id, *digest))
            .map(|manifest| manifest.lease_until)
    }
}
