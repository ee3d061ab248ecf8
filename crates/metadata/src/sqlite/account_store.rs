//! The accounts of a database, for a command: while a registry serves from it, and while none does.
//!
//! A visit is short and leaves the database as it found it. Commands come one at a time. Where a
//! registry runs, the command is a second writer among SQLite's own locks, and never the one that
//! removes the log: the registry may die meanwhile, and its mark would then ask for a log that is
//! gone. Where none runs, a start waits for the command to end. What an unclean stop left, the next
//! start finds untouched.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, TransactionBehavior};

use crate::account::{AccountChange, AccountKind, AccountRow, NewAccount};
use crate::change::Origin;
use crate::clock::{Clock as _, SystemClock, Timestamp};
use crate::error::MetadataError;
use crate::page::Page;

use super::error::is_damage;
use super::file::Files;
use super::log_index::LogIndex;
use super::log_mark::LogMark;
use super::{account, connection};

/// The accounts of a database that another process may be using. Everything blocks. A change is
/// durable when it returns, and seen by every read that another process starts after that.
///
/// Dropped in this order: the log's mark goes, the connection closes, others may come.
#[derive(Debug)]
pub struct AccountStore {
    _mark: Option<LogMark>,
    connection: Connection,
    _lock: Arc<File>,
}

impl AccountStore {
    /// Opens the database. Waits for other commands that have it open, not for a registry.
    ///
    /// # Errors
    /// [`MetadataError::NotYet`] where there is none; [`MetadataError::TooOld`] for one of an earlier
    /// release: only a start makes and migrates. [`MetadataError::TooNew`],
    /// [`MetadataError::Damaged`], [`MetadataError::LogGone`], [`MetadataError::NotAFile`],
    /// [`MetadataError::NetworkFilesystem`], [`MetadataError::Io`].
    pub fn open(database: &Path) -> Result<AccountStore, MetadataError> {
        let files = Files::resolve(database).map_err(|error| match error {
            MetadataError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                let path = database.to_owned();
                MetadataError::NotYet { path }
            }
            other => other,
        })?;
        if !files.check()? {
            return Err(MetadataError::NotYet {
                path: files.database,
            });
        }
        let (lock, alone) = files.visit()?;
        let lock = Arc::new(lock);
        // An empty log is what a clean stop may leave, and is needed by nobody.
        let clean = alone && files.log_bytes() == 0;
        if clean {
            LogMark::check(&files, &lock, true)?;
        }
        LogIndex::make_room(&files.database, files.log_bytes())?;
        let connection = connection::visitor(&files, !clean).map_err(|error| {
            if is_damage(&error) {
                files.damaged("its pages are damaged")
            } else {
                error
            }
        })?;
        Ok(AccountStore {
            _mark: clean.then(|| LogMark::set(&files, &lock)),
            connection,
            _lock: lock,
        })
    }

    /// As [`Accounts::create_account`](crate::Accounts::create_account).
    ///
    /// # Errors
    /// As there.
    pub fn create(&mut self, new: NewAccount) -> Result<bool, MetadataError> {
        self.change(|connection, now| account::create(connection, now, new))
    }

    /// As [`Accounts::account`](crate::Accounts::account).
    ///
    /// # Errors
    /// As there.
    pub fn find(&self, kind: AccountKind, name: &str) -> Result<Option<AccountRow>, MetadataError> {
        account::read(&self.connection, kind, name)
    }

    /// As [`Accounts::accounts`](crate::Accounts::accounts).
    ///
    /// # Errors
    /// As there.
    pub fn list(
        &self,
        kind: AccountKind,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<AccountRow>, MetadataError> {
        account::list(&self.connection, kind, after.unwrap_or_default(), limit)
    }

    /// As [`Accounts::change_account`](crate::Accounts::change_account).
    ///
    /// # Errors
    /// As there.
    pub fn update(
        &mut self,
        kind: AccountKind,
        name: &str,
        change: AccountChange,
        origin: &Origin,
    ) -> Result<Option<AccountRow>, MetadataError> {
        self.change(|connection, now| account::update(connection, now, kind, name, change, origin))
    }

    /// As [`Accounts::remove_account`](crate::Accounts::remove_account).
    ///
    /// # Errors
    /// As there.
    pub fn remove(
        &mut self,
        kind: AccountKind,
        name: &str,
        origin: &Origin,
    ) -> Result<bool, MetadataError> {
        self.change(|connection, now| account::remove(connection, now, kind, name, origin))
    }

    /// One transaction, which begins as a writer's: it waits for the registry's, and none of them
    /// can get in between what it reads and what it writes.
    fn change<T>(
        &mut self,
        change: impl FnOnce(&Connection, Timestamp) -> Result<T, MetadataError>,
    ) -> Result<T, MetadataError> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let changed = change(&transaction, SystemClock.now())?;
        transaction.commit()?;
        Ok(changed)
    }
}
