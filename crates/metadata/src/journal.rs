//! The journal: one line for each change, written in the transaction that makes the change.
//!
//! History, undo, events and replication are readers of it; none of them has a write path of its
//! own. Lines are in commit order.

use std::fmt;

use roadstead_oci::{Digest, MediaType, RepositoryName, Tag};
use serde_json::{Map, Value, json};

use crate::account::AccountRow;
use crate::change::Origin;
use crate::clock::Timestamp;
use crate::rows::RepositoryId;

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// A repository's row was made.
    RepositoryCreate,
    /// A blob was uploaded.
    BlobPush,
    /// A blob came from another repository; the detail says from which.
    BlobMount,
    /// A blob was deleted from the repository.
    BlobDelete,
    /// A manifest was pushed, for the first time or again.
    ManifestPush,
    /// A manifest was deleted.
    ManifestDelete,
    /// A tag was made or moved.
    TagSet,
    /// A tag was removed, by itself or with its manifest.
    TagDelete,
    /// A user or robot was made.
    AccountCreate,
    /// A user or robot was changed; the detail says what of it.
    AccountChange,
    /// A user or robot was removed.
    AccountRemove,
}

impl Change {
    /// Every change.
    pub const ALL: [Change; 11] = [
        Change::RepositoryCreate,
        Change::BlobPush,
        Change::BlobMount,
        Change::BlobDelete,
        Change::ManifestPush,
        Change::ManifestDelete,
        Change::TagSet,
        Change::TagDelete,
        Change::AccountCreate,
        Change::AccountChange,
        Change::AccountRemove,
    ];

    /// As the journal spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Change::RepositoryCreate => "repository.create",
            Change::BlobPush => "blob.push",
            Change::BlobMount => "blob.mount",
            Change::BlobDelete => "blob.delete",
            Change::ManifestPush => "manifest.push",
            Change::ManifestDelete => "manifest.delete",
            Change::TagSet => "tag.set",
            Change::TagDelete => "tag.delete",
            Change::AccountCreate => "account.create",
            Change::AccountChange => "account.change",
            Change::AccountRemove => "account.remove",
        }
    }

    /// Reads what [`Change::as_str`] writes.
    pub fn parse(text: &str) -> Option<Change> {
        Change::ALL
            .into_iter()
            .find(|change| change.as_str() == text)
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub struct JournalRow {
    /// Its number; rises, may leave gaps.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// What.
    pub change: Change,
    /// In which repository, unless it is about an account.
    pub repository: Option<RepositoryId>,
    /// Which tag.
    pub tag: Option<Tag>,
    /// Which blob or manifest; for a tag what it points to now.
    pub digest: Option<Digest>,
    /// What the tag pointed to before.
    pub previous: Option<Digest>,
    /// An object: `repository` (the name), `request_id`, `address`, `host`, `method`, `user_agent`
    /// where they are known, `media_type`, `size_bytes`, and `from` for a mount. Of an account, in
    /// place of `repository`: `account` (the name), `kind`, `id`, `groups`, and `changed`, which names
    /// what changed; never a hash.
    pub detail: Value,
}

/// A line before it has a number.
#[derive(Debug, Clone)]
pub(crate) struct Entry<'a> {
    pub(crate) change: Change,
    pub(crate) repository: RepositoryId,
    pub(crate) name: &'a RepositoryName,
    pub(crate) tag: Option<&'a Tag>,
    pub(crate) digest: Option<Digest>,
    pub(crate) previous: Option<Digest>,
    pub(crate) media_type: Option<&'a MediaType>,
    pub(crate) size_bytes: Option<u64>,
    pub(crate) from: Option<&'a RepositoryName>,
}

impl<'a> Entry<'a> {
    pub(crate) fn new(
        change: Change,
        repository: RepositoryId,
        name: &'a RepositoryName,
    ) -> Entry<'a> {
        Entry {
            change,
            repository,
            name,
            tag: None,
            digest: None,
            previous: None,
            media_type: None,
            size_bytes: None,
            from: None,
        }
    }

    pub(crate) fn tag(mut self, tag: &'a Tag) -> Entry<'a> {
        self.tag = Some(tag);
        self
    }

    pub(crate) fn digest(mut self, digest: Digest) -> Entry<'a> {
        self.digest = Some(digest);
        self
    }

    pub(crate) fn previous(mut self, previous: Option<Digest>) -> Entry<'a> {
        self.previous = previous;
        self
    }

    pub(crate) fn content(mut self, media_type: Option<&'a MediaType>, size_bytes: u64) -> Self {
        self.media_type = media_type;
        self.size_bytes = Some(size_bytes);
        self
    }

    pub(crate) fn from(mut self, from: &'a RepositoryName) -> Entry<'a> {
        self.from = Some(from);
        self
    }

    /// The line's detail: the content's properties and where the request came from.
    pub(crate) fn detail(&self, origin: &Origin) -> Value {
        let mut detail = Map::new();
        detail.insert("repository".to_owned(), json!(self.name.as_str()));
        if let Some(media_type) = self.media_type {
            detail.insert("media_type".to_owned(), json!(media_type.as_str()));
        }
        if let Some(size_bytes) = self.size_bytes {
            detail.insert("size_bytes".to_owned(), json!(size_bytes));
        }
        if let Some(from) = self.from {
            detail.insert("from".to_owned(), json!(from.as_str()));
        }
        add_request(&mut detail, origin);
        Value::Object(detail)
    }
}

/// A line about an account before it has a number.
#[derive(Debug)]
pub(crate) struct AccountEntry<'a> {
    pub(crate) change: Change,
    account: &'a AccountRow,
    changed: Vec<&'static str>,
}

impl<'a> AccountEntry<'a> {
    pub(crate) fn of(change: Change, account: &'a AccountRow) -> AccountEntry<'a> {
        AccountEntry {
            change,
            account,
            changed: Vec::new(),
        }
    }

    /// Of an account as it is after a change of what is named.
    pub(crate) fn changed(account: &'a AccountRow, changed: Vec<&'static str>) -> AccountEntry<'a> {
        AccountEntry {
            change: Change::AccountChange,
            account,
            changed,
        }
    }

    /// The line's detail: the account as it is now, and where the request came from.
    pub(crate) fn detail(&self, origin: &Origin) -> Value {
        let mut detail = Map::new();
        detail.insert("account".to_owned(), json!(self.account.name));
        detail.insert("kind".to_owned(), json!(self.account.kind.as_str()));
        detail.insert("id".to_owned(), json!(self.account.id));
        detail.insert("groups".to_owned(), json!(self.account.groups));
        if !self.changed.is_empty() {
            detail.insert("changed".to_owned(), json!(self.changed));
        }
        add_request(&mut detail, origin);
        Value::Object(detail)
    }
}

/// Where the request came from, as far as that is known.
fn add_request(detail: &mut Map<String, Value>, origin: &Origin) {
    let request = [
        ("request_id", &origin.request_id),
        ("address", &origin.address),
        ("host", &origin.host),
        ("method", &origin.method),
        ("user_agent", &origin.user_agent),
    ];
    for (name, value) in request {
        if !value.is_empty() {
            detail.insert(name.to_owned(), json!(value));
        }
    }
}
