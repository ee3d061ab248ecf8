//! Backups of a registry that serves from a directory, and a registry made of one.
//!
//! The database is copied first and the objects after it: every object that the copy names was
//! flushed before the row was, so what was acknowledged before the backup began is in it, whole. The
//! record is written last; a backup without one does not exist. A later backup into the same
//! directory copies only what is new, and leaves the one before it whole until its own record
//! stands.
//!
//! Everything here blocks, and no server need run: it is for the command line.

mod record;
mod restore;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use roadstead_metadata::{DatabaseCopy, MetadataError, StoredObject};
use roadstead_oci::Digest;
use roadstead_storage::{Key, ObjectSource, ObjectTarget, StorageError};
use uuid::Uuid;

pub use restore::{Restore, restore};

use record::{DatabaseFile, RECORD, Record};

/// Where a registry keeps what it has.
#[derive(Debug, Clone)]
pub struct Place {
    /// The data directory.
    pub root: PathBuf,
    /// The metadata database.
    pub database: PathBuf,
}

/// What a backup or a registry made of one has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// Objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Those of them that were copied now; the others were there.
    pub copied: u64,
    /// Their bytes.
    pub copied_bytes: u64,
    /// Objects that the registry itself knew to be gone or damaged.
    pub known_missing: u64,
    /// Objects that are not there, or not as they should be.
    pub lost: Vec<Lost>,
}

/// An object that could not be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The content.
    pub digest: Digest,
    /// Its key, and so its file.
    pub key: Uuid,
    /// What is wrong with it.
    pub reason: String,
}

/// Why there is no backup, or no registry made of one.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The directory has something else in it.
    #[error(
        "{directory} has something in it that is no backup ({found}): give a directory that is \
         empty or new, or one with an earlier backup"
    )]
    Foreign {
        /// The directory.
        directory: PathBuf,
        /// The first name that does not belong there.
        found: String,
    },
    /// The directory lies in the registry's own.
    #[error("{directory} is part of the data directory: a backup belongs elsewhere")]
    Inside {
        /// The directory.
        directory: PathBuf,
    },
    /// The backup there is of another registry.
    #[error(
        "{directory} has a backup of another registry: give each registry a directory of its own"
    )]
    OtherRegistry {
        /// The directory.
        directory: PathBuf,
    },
    /// Another backup is going on there.
    #[error("another backup is being written to {directory}")]
    Busy {
        /// The directory.
        directory: PathBuf,
    },
    /// There is no record: no backup, or one that was cut off.
    #[error(
        "there is no whole backup in {directory}: backup.json is not there, which is written last; \
         run roadstead backup again, or give another directory"
    )]
    NoRecord {
        /// The directory.
        directory: PathBuf,
    },
    /// The record cannot be read.
    #[error("{path} cannot be understood: {reason}")]
    Record {
        /// The record.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The database is not the one that the record speaks of.
    #[error("{path} is damaged: {reason}; use another backup")]
    Database {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Objects are missing or damaged.
    #[error(
        "{} of the objects are missing or damaged, so nothing was restored: use another backup, or \
         --force to restore the rest",
        lost.len()
    )]
    Incomplete {
        /// Which.
        lost: Vec<Lost>,
    },
    /// The data directory has something in it.
    #[error(
        "{path} is not empty ({found}): restore into a new data directory, or move away what is \
         there, also if it comes from a restore that was cut off"
    )]
    NotEmpty {
        /// The data directory.
        path: PathBuf,
        /// What was found.
        found: String,
    },
    /// Of the objects.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Of the database.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// Of another file.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
}

/// Copies what a registry has to `directory`, which is made where it is not there. The registry may
/// be serving. Blocks.
///
/// # Errors
/// Nothing is in the directory then that counts as a backup, but for the one that was there before.
/// Objects that could not be had are no error but stand in [`Contents::lost`].
pub fn back_up(place: &Place, directory: &Path) -> Result<Contents, BackupError> {
    let source = ObjectSource::open(&place.root)?;
    check_directory(place, directory)?;
    let mut target = ObjectTarget::open(directory).map_err(|error| match error {
        StorageError::InUse { path: directory } => BackupError::Busy { directory },
        error => error.into(),
    })?;
    let registry = DatabaseCopy::instance(&place.database)?;
    check_registry(directory, registry)?;
    let begun = SystemTime::now();
    let name = record::database_name();
    let path = directory.join(&name);
    let copy = DatabaseCopy::take(&place.database, &path)?;
    let contents = copy_objects(&copy, &source, &mut target)?;
    let lost: Vec<_> = contents.lost.iter().map(Lost::row).collect();
    copy.mark_missing(&lost)?;
    copy.finish()?;
    let database = DatabaseFile::of(name, &path)?;
    flush_directory(directory)?;
    Record::new(begun, registry, database, &contents).write(directory)?;
    remove_other_databases(directory, &path)?;
    Ok(contents)
}

impl Lost {
    fn new(object: &StoredObject, error: &StorageError) -> Self {
        Self {
            digest: object.digest,
            key: object.key,
            reason: error.to_string(),
        }
    }

    fn row(&self) -> (Digest, Uuid) {
        (self.digest, self.key)
    }
}

/// Copies and flushes every object that the database names.
fn copy_objects(
    copy: &DatabaseCopy,
    source: &ObjectSource,
    target: &mut ObjectTarget,
) -> Result<Contents, BackupError> {
    let mut contents = Contents::default();
    each_object(copy, |object| {
        if object.missing {
            contents.known_missing += 1;
            return Ok(());
        }
        match target.copy(source, Key::from(object.key), object.size) {
            Ok(new) => contents.count(object.size, new),
            Err(error @ (StorageError::NotFound { .. } | StorageError::Damaged { .. })) => {
                contents.lost.push(Lost::new(object, &error));
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    })?;
    target.flush()?;
    Ok(contents)
}

impl Contents {
    fn count(&mut self, size: u64, new: bool) {
        self.objects += 1;
        self.bytes += size;
        if new {
            self.copied += 1;
            self.copied_bytes += size;
        }
    }
}

fn each_object(
    copy: &DatabaseCopy,
    mut each: impl FnMut(&StoredObject) -> Result<(), BackupError>,
) -> Result<(), BackupError> {
    let mut after = None;
    loop {
        let page = copy.objects(after, PAGE)?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = Some(last.key);
        page.iter().try_for_each(&mut each)?;
    }
}

/// Objects that are read of the database at a time.
const PAGE: u32 = 1_000;

/// Refuses a directory that is not one for backups: nothing is ever mixed with something else.
fn check_directory(place: &Place, directory: &Path) -> Result<(), BackupError> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        entries => Some(entries.map_err(failed("read", directory))?),
    };
    // What is not there yet is where its nearest folder is.
    let absolute = std::path::absolute(directory).map_err(failed("find", directory))?;
    let there = absolute
        .ancestors()
        .find_map(|path| fs::canonicalize(path).ok());
    let root = fs::canonicalize(&place.root).map_err(failed("find", &place.root))?;
    if there.is_some_and(|there| there.starts_with(&root)) {
        return Err(BackupError::Inside {
            directory: directory.to_owned(),
        });
    }
    for entry in entries.into_iter().flatten() {
        let name = entry.map_err(failed("read", directory))?.file_name();
        if !belongs(&name) {
            return Err(BackupError::Foreign {
                directory: directory.to_owned(),
                found: name.to_string_lossy().into_owned(),
            });
        }
    }
    Ok(())
}

/// Refuses a backup of another registry: its database would be taken away, and its objects would
/// stay for ever. One of an earlier release does not say whose it is.
fn check_registry(directory: &Path, registry: Option<Uuid>) -> Result<(), BackupError> {
    let earlier = match Record::read(directory) {
        Err(BackupError::NoRecord { .. }) => return Ok(()),
        earlier => earlier?,
    };
    if earlier.registry.is_none() || earlier.registry == registry {
        return Ok(());
    }
    Err(BackupError::OtherRegistry {
        directory: directory.to_owned(),
    })
}

/// Whether a backup may have made this, or the file system did.
fn belongs(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let ours = ["objects", RECORD, record::NEW_RECORD, "lost+found"];
    ours.contains(&&*name) || record::is_left_of_database(&name)
}

/// Takes away the databases of earlier backups and of those that were cut off.
fn remove_other_databases(directory: &Path, keep: &Path) -> Result<(), BackupError> {
    for entry in fs::read_dir(directory).map_err(failed("read", directory))? {
        let entry = entry.map_err(failed("read", directory))?;
        let path = entry.path();
        if path != keep && record::is_left_of_database(&entry.file_name().to_string_lossy()) {
            fs::remove_file(&path).map_err(failed("remove", &path))?;
        }
    }
    Ok(())
}

fn flush_directory(directory: &Path) -> Result<(), BackupError> {
    let flushed = File::open(directory).and_then(|opened| opened.sync_all());
    flushed.map_err(failed("flush", directory))
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::Io {
        action,
        path,
        source,
    }
}
