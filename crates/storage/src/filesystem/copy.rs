//! Whole objects from one directory to another: for backups, while another process uses the first.
//!
//! Here a file gets its name when its bytes are flushed, by a rename, which the store itself never
//! does: so whatever has a key for its name and the right length is whole, and is not copied twice.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::error::{PLANTED, StorageError};
use crate::key::{Key, SHARDS, shard_name};

use super::directory::Directory;
use super::install;

/// Bytes that are copied at a time.
const STEP_BYTES: usize = 256 << 10;

/// The objects of a directory that are only read. No lock is taken: keys are never used again, so
/// what another process does there changes none of them.
#[derive(Debug)]
pub struct ObjectSource {
    directory: Directory,
}

/// The objects of a directory that this process alone adds to.
#[derive(Debug)]
pub struct ObjectTarget {
    root: PathBuf,
    directory: Directory,
    /// Held for the lock on it.
    _objects: File,
    /// Folders with new names that are not flushed yet.
    unflushed: Vec<bool>,
}

impl ObjectSource {
    /// Opens `root`, which must be there. Blocks.
    ///
    /// # Errors
    /// [`StorageError::Directory`].
    pub fn open(root: &Path) -> Result<Self, StorageError> {
        let directory = Directory::open_root(root)?;
        Ok(Self { directory })
    }

    /// Whether the object is there, with this length. Blocks.
    ///
    /// # Errors
    /// [`StorageError::NotFound`], [`StorageError::Damaged`], those of the system.
    pub fn check(&self, key: Key, size: u64) -> Result<(), StorageError> {
        self.file(key, size).map(drop)
    }

    /// Reads an object, step by step. Blocks.
    ///
    /// # Errors
    /// As [`ObjectSource::check`], and what `each` returns.
    pub fn read(
        &self,
        key: Key,
        size: u64,
        mut each: impl FnMut(&[u8]) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let file = self.file(key, size)?;
        // Not a byte more, should somebody write to it.
        let mut left = file.take(size);
        let mut buffer = vec![0; STEP_BYTES];
        let mut done = 0;
        while done < size {
            let read = match left.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read.map_err(|error| StorageError::system("read an object", error))?,
            };
            if read == 0 {
                let reason = "it was cut short while it was read";
                return Err(StorageError::Damaged { key, reason });
            }
            done += read as u64;
            each(&buffer[..read])?;
        }
        Ok(())
    }

    fn file(&self, key: Key, size: u64) -> Result<File, StorageError> {
        let opened = self.directory.open(&key.object_path(), OFlags::RDONLY);
        let file = opened.map_err(|errno| StorageError::opening(key, "open an object", errno))?;
        let file = File::from(file);
        check_length(key, &file, size)?;
        Ok(file)
    }
}

impl ObjectTarget {
    /// Opens `root` as a store is opened: it is made where it is not there, and locked. Blocks.
    ///
    /// # Errors
    /// As [`FilesystemStore::open`](super::FilesystemStore::open).
    pub fn open(root: &Path) -> Result<Self, StorageError> {
        let installed = install::open(root)?;
        Ok(Self {
            root: root.to_owned(),
            directory: installed.directory,
            _objects: installed.objects,
            unflushed: vec![false; usize::from(SHARDS)],
        })
    }

    /// Copies an object, unless it is there already: `false` then. Its bytes are flushed, its name
    /// is by [`ObjectTarget::flush`]. Blocks.
    ///
    /// # Errors
    /// As [`ObjectSource::read`]; those of writing.
    pub fn copy(&mut self, from: &ObjectSource, key: Key, size: u64) -> Result<bool, StorageError> {
        if self.has(key, size)? {
            return Ok(false);
        }
        from.check(key, size)?;
        let part = format!("{}{PART}", key.object_path());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC;
        let opened = self.directory.open(&part, flags);
        let opened =
            opened.map_err(|errno| StorageError::opening(key, "write an object", errno))?;
        let mut file = File::from(opened);
        from.read(key, size, |bytes| {
            let written = file.write_all(bytes);
            written.map_err(|error| StorageError::system("write an object", error))
        })?;
        file.sync_all().map_err(StorageError::flush)?;
        let shard = key.shard();
        let folder = install::folder(&self.directory, &self.root, &folder_path(shard))?;
        rustix::fs::renameat(&folder, format!("{key}{PART}"), &folder, key.to_string())
            .map_err(|errno| StorageError::system("name an object", errno.into()))?;
        self.unflushed[usize::from(shard)] = true;
        Ok(true)
    }

    /// Flushes the names of everything that was copied. Blocks.
    ///
    /// # Errors
    /// [`StorageError::Directory`].
    pub fn flush(&mut self) -> Result<(), StorageError> {
        for (shard, unflushed) in (0..=u8::MAX).zip(&mut self.unflushed) {
            if *unflushed {
                let path = folder_path(shard);
                let folder = install::folder(&self.directory, &self.root, &path)?;
                install::flush(&folder, &self.root.join(path))?;
                *unflushed = false;
            }
        }
        Ok(())
    }

    fn has(&self, key: Key, size: u64) -> Result<bool, StorageError> {
        let opened = self.directory.open(&key.object_path(), OFlags::PATH);
        let opened = opened.map_err(|errno| StorageError::opening(key, "look at an object", errno));
        match opened {
            Err(StorageError::NotFound { .. }) => Ok(false),
            file => Ok(check_length(key, &File::from(file?), size).is_ok()),
        }
    }
}

fn check_length(key: Key, file: &File, size: u64) -> Result<(), StorageError> {
    let metadata = file.metadata();
    let metadata = metadata.map_err(|error| StorageError::system("look at an object", error))?;
    let reason = match (metadata.is_file(), metadata.len() == size) {
        (true, true) => return Ok(()),
        (true, false) => "it has another length than was sealed",
        (false, _) => PLANTED,
    };
    Err(StorageError::Damaged { key, reason })
}

fn folder_path(shard: u8) -> String {
    format!("objects/{}", shard_name(shard))
}

/// What stands behind a key while its bytes come.
const PART: &str = ".part";

#[cfg(test)]
mod tests {
    use super::*;

    /// A store's directory with one object of these bytes.
    fn store(bytes: &[u8]) -> (tempfile::TempDir, Key) {
        let root = tempfile::tempdir().unwrap();
        drop(ObjectTarget::open(root.path()).unwrap());
        let key = Key::random();
        std::fs::write(root.path().join(key.object_path()), bytes).unwrap();
        (root, key)
    }

    #[test]
    fn an_object_is_copied_once_and_whole() {
        let (root, key) = store(&[7; 600_000]);
        let source = ObjectSource::open(root.path()).unwrap();
        let to = tempfile::tempdir().unwrap();
        let mut target = ObjectTarget::open(to.path()).unwrap();
        assert!(target.copy(&source, key, 600_000).unwrap());
        assert!(!target.copy(&source, key, 600_000).unwrap());
        target.flush().unwrap();
        let copied = to.path().join(key.object_path());
        assert_eq!(std::fs::read(&copied).unwrap(), [7; 600_000]);
        // One that was cut off is made whole.
        std::fs::write(&copied, [7; 100]).unwrap();
        assert!(target.copy(&source, key, 600_000).unwrap());
        assert_eq!(std::fs::read(&copied).unwrap(), [7; 600_000]);
        let folder = copied.parent().unwrap();
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 1);
    }

    #[test]
    fn what_is_gone_or_has_another_length_is_told_apart_and_not_copied() {
        let (root, key) = store(b"bytes");
        let source = ObjectSource::open(root.path()).unwrap();
        let to = tempfile::tempdir().unwrap();
        let mut target = ObjectTarget::open(to.path()).unwrap();
        let damaged = target.copy(&source, key, 6).unwrap_err();
        assert!(matches!(damaged, StorageError::Damaged { .. }), "{damaged}");
        let gone = target.copy(&source, Key::random(), 6).unwrap_err();
        assert!(matches!(gone, StorageError::NotFound { .. }), "{gone}");
        let path = root.path().join(key.object_path());
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        let planted = source.check(key, 5).unwrap_err();
        assert!(matches!(planted, StorageError::Damaged { .. }), "{planted}");
    }

    #[test]
    fn two_do_not_write_to_one_directory() {
        let to = tempfile::tempdir().unwrap();
        let _target = ObjectTarget::open(to.path()).unwrap();
        let refused = ObjectTarget::open(to.path()).unwrap_err();
        assert!(matches!(refused, StorageError::InUse { .. }), "{refused}");
    }
}
