//! Local users and robots: who they are, what their passwords and keys hash to, and until when they
//! may come in.

use std::fmt;
use std::future::Future;

use crate::change::Origin;
use crate::clock::Timestamp;
use crate::error::MetadataError;
use crate::page::Page;

/// What an account is for. Names are unique within a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AccountKind {
    /// A person with a password.
    User,
    /// A program with a key.
    Robot,
}

impl AccountKind {
    /// As rows and the journal spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            AccountKind::User => "user",
            AccountKind::Robot => "robot",
        }
    }

    /// Reads what [`AccountKind::as_str`] writes.
    pub fn parse(text: &str) -> Option<AccountKind> {
        [AccountKind::User, AccountKind::Robot]
            .into_iter()
            .find(|kind| kind.as_str() == text)
    }
}

impl fmt::Display for AccountKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a password or key hashes to, opaque here. Never printed: it can be guessed at.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Of this text.
    pub fn new(text: impl Into<String>) -> PasswordHash {
        PasswordHash(text.into())
    }

    /// The text, to compare with or to keep.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hash]")
    }
}

/// An account as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRow {
    /// What it is for.
    pub kind: AccountKind,
    /// Its name.
    pub name: String,
    /// Its public id, random; a robot's is in its key. A new key has a new one.
    pub id: String,
    /// What its password or key hashes to.
    pub hash: PasswordHash,
    /// The groups that it is in, in byte order, each once.
    pub groups: Vec<String>,
    /// What its owner says about it.
    pub description: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it may not come in.
    pub expires_at: Option<Timestamp>,
    /// Since when it may not come in.
    pub disabled_at: Option<Timestamp>,
    /// The number of the journal line of its last change: rises, and is never used again, not even
    /// for an account of the same name.
    pub version: u64,
}

/// Whether an account may come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It may.
    Active,
    /// Somebody took it out.
    Disabled,
    /// Its time is over.
    Expired,
}

impl AccountRow {
    /// Whether it may come in at `now`.
    pub fn standing(&self, now: Timestamp) -> Standing {
        if self.disabled_at.is_some() {
            Standing::Disabled
        } else if self.expires_at.is_some_and(|end| end <= now) {
            Standing::Expired
        } else {
            Standing::Active
        }
    }

    /// The first row of a new account, which has no version yet.
    pub(crate) fn of(new: NewAccount, now: Timestamp) -> AccountRow {
        AccountRow {
            kind: new.kind,
            name: new.name,
            id: new.id,
            hash: new.hash,
            groups: in_order(new.groups),
            description: new.description,
            created_at: now,
            expires_at: new.expires_at,
            disabled_at: None,
            version: 0,
        }
    }

    /// Applies a change, and names what is not as it was before, as the journal does.
    pub(crate) fn apply(&mut self, change: AccountChange, now: Timestamp) -> Vec<&'static str> {
        let AccountChange {
            id,
            hash,
            groups,
            description,
            expires_at,
            disabled,
        } = change;
        let disabled_at = disabled.map(|disabled| match self.disabled_at {
            Some(since) if disabled => Some(since),
            None if disabled => Some(now),
            _ => None,
        });
        let changed = [
            ("id", set(&mut self.id, id)),
            ("hash", set(&mut self.hash, hash)),
            ("groups", set(&mut self.groups, groups.map(in_order))),
            ("description", set(&mut self.description, description)),
            ("expires_at", set(&mut self.expires_at, expires_at)),
            ("disabled", set(&mut self.disabled_at, disabled_at)),
        ];
        let names = changed.into_iter().filter(|(_, changed)| *changed);
        names.map(|(name, _)| name).collect()
    }

    /// Whether it can be kept.
    pub(crate) fn check(&self) -> Result<(), MetadataError> {
        let fits = |text: &str, max: usize| (1..=max).contains(&text.len());
        if !fits(&self.name, NAME_BYTES_MAX) || self.name.chars().any(char::is_control) {
            return Err(MetadataError::Misuse(
                "an account's name is empty, longer than 255 bytes, or has control characters",
            ));
        }
        if !fits(&self.id, NAME_BYTES_MAX) || !fits(self.hash.as_str(), HASH_BYTES_MAX) {
            return Err(MetadataError::Misuse(
                "an account's id or hash is empty or too long",
            ));
        }
        let groups = self.groups.len() <= GROUPS_MAX
            && self.groups.iter().all(|group| fits(group, NAME_BYTES_MAX));
        if !groups {
            return Err(MetadataError::Misuse(
                "an account has more than 100 groups, or one whose name is empty or longer than \
                 255 bytes",
            ));
        }
        if self.description.len() > DESCRIPTION_BYTES_MAX {
            return Err(MetadataError::Misuse(
                "an account's description is longer than 1024 bytes",
            ));
        }
        Ok(())
    }
}

/// An account that is made. Not disabled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAccount {
    /// What it is for.
    pub kind: AccountKind,
    /// Its name.
    pub name: String,
    /// A fresh public id.
    pub id: String,
    /// What its password or key hashes to.
    pub hash: PasswordHash,
    /// The groups that it is in.
    pub groups: Vec<String>,
    /// What its owner says about it.
    pub description: String,
    /// From when on it may not come in.
    pub expires_at: Option<Timestamp>,
    /// Who and where from.
    pub origin: Origin,
}

/// What of an account changes; what is `None` stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccountChange {
    /// Another public id, with another key.
    pub id: Option<String>,
    /// What its new password or key hashes to.
    pub hash: Option<PasswordHash>,
    /// All groups that it is in from now on.
    pub groups: Option<Vec<String>>,
    /// What its owner says about it.
    pub description: Option<String>,
    /// From when on it may not come in; `Some(None)`: no end.
    pub expires_at: Option<Option<Timestamp>>,
    /// Whether it may not come in.
    pub disabled: Option<bool>,
}

/// The accounts. What holds for every method of [`Metadata`](crate::Metadata) holds here. Another
/// process may change them ([`AccountStore`](crate::AccountStore)): a read that starts after its
/// commit sees it.
pub trait Accounts: Send + Sync {
    /// Makes an account. `false`: the kind has one of this name; nothing changed.
    ///
    /// # Errors
    /// [`MetadataError::Misuse`] for an id that another account has, and for names that are empty or
    /// too long.
    fn create_account(
        &self,
        account: NewAccount,
    ) -> impl Future<Output = Result<bool, MetadataError>> + Send;

    /// An account by its name.
    ///
    /// # Errors
    /// Only of the engine.
    fn account(
        &self,
        kind: AccountKind,
        name: &str,
    ) -> impl Future<Output = Result<Option<AccountRow>, MetadataError>> + Send;

    /// An account by its public id.
    ///
    /// # Errors
    /// Only of the engine.
    fn account_by_id(
        &self,
        id: &str,
    ) -> impl Future<Output = Result<Option<AccountRow>, MetadataError>> + Send;

    /// Accounts of a kind after the name `after`, in byte order.
    ///
    /// # Errors
    /// Only of the engine.
    fn accounts(
        &self,
        kind: AccountKind,
        after: Option<&str>,
        limit: u32,
    ) -> impl Future<Output = Result<Page<AccountRow>, MetadataError>> + Send;

    /// Changes an account and returns it as it is now. `None`: there is none.
    ///
    /// # Errors
    /// As [`Accounts::create_account`].
    fn change_account(
        &self,
        kind: AccountKind,
        name: &str,
        change: AccountChange,
        origin: Origin,
    ) -> impl Future<Output = Result<Option<AccountRow>, MetadataError>> + Send;

    /// Removes an account. `false`: there is none.
    ///
    /// # Errors
    /// Only of the engine.
    fn remove_account(
        &self,
        kind: AccountKind,
        name: &str,
        origin: Origin,
    ) -> impl Future<Output = Result<bool, MetadataError>> + Send;
}

/// Sets a value if there is another one, and says whether there was.
fn set<T: PartialEq>(value: &mut T, new: Option<T>) -> bool {
    match new {
        Some(new) if new != *value => {
            *value = new;
            true
        }
        _ => false,
    }
}

fn in_order(mut groups: Vec<String>) -> Vec<String> {
    groups.sort_unstable();
    groups.dedup();
    groups
}

/// Bytes of the name of an account or group, at most.
const NAME_BYTES_MAX: usize = 255;
/// Bytes of a hash, at most; those in use are about a hundred.
const HASH_BYTES_MAX: usize = 1024;
/// Bytes of a description, at most.
const DESCRIPTION_BYTES_MAX: usize = 1024;
/// Groups of an account, at most.
const GROUPS_MAX: usize = 100;
