//! Copies of the database: taken of one that another process may be writing to, read to see which
//! objects belong to it, and put in the place of a registry that has none yet.
//!
//! A copy is one transaction's view, the newest commits in the log included. It has no upload
//! sessions and no trash: their objects are not in a backup, and a registry that is made of it
//! starts without them.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use roadstead_oci::Digest;
use rusqlite::Connection;
use uuid::Uuid;

use crate::error::MetadataError;
use crate::rows::StoredObject;

use super::connection;
use super::error::is_damage;
use super::file::{Files, io_error};
use super::migrate;
use super::statement::{change, digest, many, one, size, uuid};

/// A whole database in one file that nobody else uses.
#[derive(Debug)]
pub struct DatabaseCopy {
    files: Files,
    connection: Connection,
}

impl DatabaseCopy {
    /// Copies the database at `database` into a new file at `copy`. Another process may use it
    /// meanwhile: its writes go on, its log grows until the copy is done. The copy is not flushed
    /// yet. Blocks.
    ///
    /// # Errors
    /// What keeps a database from being opened, see [`SqliteMetadata::open`], but that it is in
    /// use; those of the file system.
    ///
    /// [`SqliteMetadata::open`]: super::SqliteMetadata::open
    pub fn take(database: &Path, copy: &Path) -> Result<Self, MetadataError> {
        let source = Files::resolve(database)?;
        if !source.check()? {
            let gone = io::Error::from(io::ErrorKind::NotFound);
            return Err(io_error("open", &source.database)(gone));
        }
        // For this user alone, as the database is.
        let mut new = OpenOptions::new();
        new.write(true).create_new(true).mode(0o600);
        new.open(copy).map_err(io_error("create", copy))?;
        let files = Files::resolve(copy)?;
        let copied = fill(&source, &files);
        copied.map_err(|error| {
            if is_damage(&error) {
                source.damaged("its pages are damaged")
            } else {
                error
            }
        })?;
        Self::open(copy)
    }

    /// The id of the registry whose database is at `database`, which another process may be using.
    /// `None`: an earlier release wrote it, and registries had none. Blocks.
    ///
    /// # Errors
    /// As [`DatabaseCopy::take`].
    pub fn instance(database: &Path) -> Result<Option<Uuid>, MetadataError> {
        let files = Files::resolve(database)?;
        if !files.check()? {
            let gone = io::Error::from(io::ErrorKind::NotFound);
            return Err(io_error("open", &files.database)(gone));
        }
        let connection = connection::source(&files.database)?;
        if migrate::version(&connection)? < migrate::INSTANCE {
            return Ok(None);
        }
        one(&connection, INSTANCE, (), |row| uuid(row, 0))
    }

    /// Opens a copy that was taken before. Blocks.
    ///
    /// # Errors
    /// [`MetadataError::Damaged`], [`MetadataError::TooNew`], [`MetadataError::NotAFile`],
    /// [`MetadataError::Io`].
    pub fn open(copy: &Path) -> Result<Self, MetadataError> {
        let files = Files::resolve(copy)?;
        if !files.check()? {
            let gone = io::Error::from(io::ErrorKind::NotFound);
            return Err(io_error("open", &files.database)(gone));
        }
        let connection = connection::reader(&files.database)?;
        let found = migrate::version(&connection)?;
        if found == 0 {
            return Err(files.damaged("it has no tables of this program"));
        }
        if found > migrate::SUPPORTED {
            let supported = migrate::SUPPORTED;
            return Err(MetadataError::TooNew { found, supported });
        }
        Ok(Self { files, connection })
    }

    /// The objects that it names, at most `limit`, by key behind `after`.
    ///
    /// # Errors
    /// Rows that cannot be read.
    pub fn objects(
        &self,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<StoredObject>, MetadataError> {
        let after = after.map_or(Vec::new(), |key| key.as_bytes().to_vec());
        many(&self.connection, LIST, (after, limit), |row| {
            Ok(StoredObject {
                digest: digest(row, 0)?,
                key: uuid(row, 1)?,
                size: size(row, 2)?,
                missing: row.get(3)?,
            })
        })
    }

    /// Marks objects as missing in the copy, so that what is made of it does not take them for
    /// there. Not flushed yet.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn mark_missing(&self, objects: &[(Digest, Uuid)]) -> Result<(), MetadataError> {
        mark_missing(&self.files.database, objects)
    }

    /// Flushes the copy and closes it.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn finish(self) -> Result<(), MetadataError> {
        let path = self.files.database;
        self.connection.close().map_err(|(_, error)| error)?;
        let file = File::open(&path).map_err(io_error("open", &path))?;
        file.sync_all().map_err(io_error("flush", &path))
    }

    /// Puts it in the place of a registry's database, where there is none. Flushed before it gets
    /// its name: after a crash it is there whole or not at all. Blocks.
    ///
    /// # Errors
    /// [`MetadataError::Exists`], [`MetadataError::InUse`], [`MetadataError::NetworkFilesystem`],
    /// those of the file system.
    pub fn install(
        &self,
        database: &Path,
        missing: &[(Digest, Uuid)],
    ) -> Result<(), MetadataError> {
        let target = Files::resolve(database)?;
        let _lock = target.lock()?;
        let there = fs::symlink_metadata(&target.database);
        if there.is_ok() || target.check()? {
            return Err(MetadataError::Exists {
                path: target.database,
            });
        }
        target.create(|new| {
            let copied = File::open(&self.files.database).and_then(|mut from| {
                let mut to = OpenOptions::new().write(true).truncate(true).open(new)?;
                io::copy(&mut from, &mut to)
            });
            copied.map_err(io_error("copy the database to", new))?;
            mark_missing(new, missing)
        })
    }
}

fn fill(source: &Files, copy: &Files) -> Result<(), MetadataError> {
    // Not one that only queries: it is to write, though not here.
    let connection = connection::source(&source.database)?;
    let found = migrate::version(&connection)?;
    if found > migrate::SUPPORTED {
        let supported = migrate::SUPPORTED;
        return Err(MetadataError::TooNew { found, supported });
    }
    let into = path_text(&copy.database)?;
    connection.execute("VACUUM INTO ?1", [into])?;
    connection.close().map_err(|(_, error)| error)?;
    let connection = connection::alone(&copy.database)?;
    connection.execute_batch(LEFT_BEHIND)?;
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found != "ok" {
        tracing::error!(found, "the copy of the metadata database is damaged");
        return Err(source.damaged("its pages are damaged"));
    }
    connection.close().map_err(|(_, error)| error.into())
}

fn mark_missing(path: &Path, objects: &[(Digest, Uuid)]) -> Result<(), MetadataError> {
    if objects.is_empty() {
        return Ok(());
    }
    let mut connection = connection::alone(path)?;
    let transaction = connection.transaction()?;
    for (digest, key) in objects {
        let parameters = (digest.to_string(), key.as_bytes().as_slice());
        change(&transaction, MARK_MISSING, parameters)?;
    }
    transaction.commit()?;
    connection.close().map_err(|(_, error)| error.into())
}

/// SQLite takes a path as text.
fn path_text(path: &Path) -> Result<&str, MetadataError> {
    path.to_str().ok_or_else(|| MetadataError::Io {
        action: "write a database to",
        path: PathBuf::from(path),
        source: Arc::new(io::Error::new(
            io::ErrorKind::InvalidFilename,
            "the path is not UTF-8",
        )),
    })
}

/// Whole tables, on a file that nobody else reads: no statements for a registry that serves.
const LEFT_BEHIND: &str =
    "BEGIN; DELETE FROM upload; DELETE FROM upload_tally; DELETE FROM trash; COMMIT;";
const INSTANCE: &str = include_str!("../sql/sqlite/instance/read.sql");
const LIST: &str = include_str!("../sql/sqlite/object/list.sql");
const MARK_MISSING: &str = include_str!("../sql/sqlite/object/mark_missing.sql");
