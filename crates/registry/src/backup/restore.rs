//! A registry made of a backup, in a data directory that is empty.
//!
//! The backup is checked whole before anything is written. The database gets its name last: what was
//! cut off before is objects without a database, on which no registry starts.

use std::fs;
use std::io;
use std::path::Path;

use roadstead_metadata::DatabaseCopy;
use roadstead_storage::{Key, ObjectSource, ObjectTarget, StorageError};

use crate::hashing::Hasher;

use super::record::Record;
use super::{BackupError, Contents, Lost, Place, each_object, failed};

/// How a backup is restored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Restore {
    /// Read every object and compare its digest, not only its length.
    pub verify: bool,
    /// Restore although objects are missing or damaged: those are marked as missing.
    pub force: bool,
}

/// Makes a registry at `place` of the backup in `directory`. Returns what it has, and when the
/// backup began. Blocks.
///
/// # Errors
/// Nothing is at `place` then, unless the error came while it was written.
pub fn restore(
    directory: &Path,
    place: &Place,
    how: Restore,
) -> Result<(Contents, String), BackupError> {
    let record = Record::read(directory)?;
    let path = directory.join(&record.database.file);
    record.database.check(&path)?;
    let copy = DatabaseCopy::open(&path)?;
    let source = ObjectSource::open(directory)?;
    check_empty(place)?;
    let lost = look_at_objects(&copy, &source, how.verify)?;
    if !lost.is_empty() && !how.force {
        return Err(BackupError::Incomplete { lost });
    }
    let mut target = ObjectTarget::open(&place.root)?;
    let mut contents = Contents::default();
    each_object(&copy, |object| {
        if object.missing {
            contents.known_missing += 1;
        } else if lost
            .binary_search_by_key(&object.key, |lost| lost.key)
            .is_err()
        {
            let new = target.copy(&source, Key::from(object.key), object.size)?;
            contents.count(object.size, new);
        }
        Ok(())
    })?;
    target.flush()?;
    let rows: Vec<_> = lost.iter().map(Lost::row).collect();
    copy.install(&place.database, &rows)?;
    contents.lost = lost;
    Ok((contents, record.begun().to_owned()))
}

/// What is missing or damaged, by key.
fn look_at_objects(
    copy: &DatabaseCopy,
    source: &ObjectSource,
    verify: bool,
) -> Result<Vec<Lost>, BackupError> {
    let mut lost = Vec::new();
    each_object(copy, |object| {
        if object.missing {
            return Ok(());
        }
        let key = Key::from(object.key);
        let looked = if verify {
            let mut hasher = Hasher::new(object.digest.algorithm());
            let read = source.read(key, object.size, |bytes| {
                hasher.update(bytes);
                Ok(())
            });
            read.and_then(|()| {
                if hasher.digest() == object.digest {
                    return Ok(());
                }
                let reason = "its bytes have another digest";
                Err(StorageError::Damaged { key, reason })
            })
        } else {
            source.check(key, object.size)
        };
        match looked {
            Err(error @ (StorageError::NotFound { .. } | StorageError::Damaged { .. })) => {
                lost.push(Lost::new(object, &error));
            }
            looked => looked?,
        }
        Ok(())
    })?;
    Ok(lost)
}

fn check_empty(place: &Place) -> Result<(), BackupError> {
    let not_empty = |found: &str| BackupError::NotEmpty {
        path: place.root.clone(),
        found: found.to_owned(),
    };
    match fs::read_dir(&place.root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        entries => {
            for entry in entries.map_err(failed("read", &place.root))? {
                let name = entry.map_err(failed("read", &place.root))?.file_name();
                // The file system's own.
                if name != "lost+found" {
                    return Err(not_empty(&name.to_string_lossy()));
                }
            }
        }
    }
    if fs::symlink_metadata(&place.database).is_ok() {
        return Err(not_empty(&place.database.to_string_lossy()));
    }
    Ok(())
}
