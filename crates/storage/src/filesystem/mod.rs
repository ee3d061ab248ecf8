//! Objects as files: `<root>/objects/<two hex digits>/<key>`, one folder for each last byte of a
//! key, all made and flushed when the store is first opened.
//!
//! Flush order: the file's bytes, then the folder with its name; only then is an object sealed.
//! Every path is resolved by the kernel beneath the root's own descriptor, without following a
//! link: what somebody planted is refused, never followed.

mod append;
mod copy;
mod directory;
mod install;
mod lane;
mod map;
mod opened;
mod read;
mod writers;

use std::collections::HashSet;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use roadstead_failpoint::failpoint;
use rustix::fs::{AtFlags, OFlags};
use rustix::io::Errno;

use crate::append_state::AppendState;
use crate::disk::Disk;
use crate::error::{PLANTED, StorageError};
use crate::key::{Key, shard_name};
use crate::object_store::ObjectStore;
use crate::sealed::Sealed;
use crate::store::{Appender, ObjectReader};
use crate::witness::Witness;

pub(crate) use append::FileAppender;
pub use copy::{ObjectSource, ObjectTarget};
use directory::Directory;
pub use opened::Sendable;
use opened::{Opened, OpenedFiles};
pub(crate) use read::FileReader;
use writers::Writers;

/// A store in a directory that this process alone uses. Clones share it.
#[derive(Debug, Clone)]
pub struct FilesystemStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    directory: Directory,
    /// Held for the lock on it.
    _objects: File,
    writers: Writers,
    opened: OpenedFiles,
    /// Objects that lost bytes in a flush. Whatever a later flush of one says, it is not sealed.
    spoilt: Mutex<HashSet<Key>>,
    disk: Arc<Disk>,
    /// Something stood in an object's place that this program did not put there.
    tampered: AtomicBool,
}

impl FilesystemStore {
    /// Opens the store in `root`, which is made if it is not there, and locks it against other
    /// processes. Blocks for as long as a disk needs for that.
    ///
    /// # Errors
    /// [`StorageError::InUse`], [`StorageError::OpenToAll`], [`StorageError::NotADirectory`],
    /// [`StorageError::OldKernel`], [`StorageError::Directory`].
    pub fn open(root: &Path) -> Result<Self, StorageError> {
        Self::open_keeping(root, Some(0), &[])
    }

    /// As [`FilesystemStore::open`], and keeps `reserve` bytes free on the file systems of the root
    /// and of the directories `beside` it (see [`Disk::watch`]).
    ///
    /// # Errors
    /// As [`FilesystemStore::open`].
    pub fn open_keeping(
        root: &Path,
        reserve: Option<u64>,
        beside: &[&Path],
    ) -> Result<Self, StorageError> {
        let installed = install::open(root)?;
        let watched: Vec<&Path> = [root].iter().chain(beside).copied().collect();
        let disk = Disk::watch(&watched, reserve)?;
        Ok(Self(Arc::new(Inner {
            root: root.to_owned(),
            directory: installed.directory,
            _objects: installed.objects,
            writers: Writers::default(),
            opened: OpenedFiles::of(open_files()),
            spoilt: Mutex::default(),
            disk: Arc::new(disk),
            tampered: AtomicBool::new(false),
        })))
    }

    pub(crate) fn disk(&self) -> Arc<Disk> {
        Arc::clone(&self.0.disk)
    }

    /// Runs what may wait for a disk away from the threads that serve.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        let inner = Arc::clone(&self.0);
        spawn(move || work(&inner).inspect_err(|error| inner.disk.note(error))).await
    }
}

/// Files that the process may have open.
fn open_files() -> u64 {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.current.unwrap_or(u64::MAX)
}

/// Runs work on a thread that may block.
async fn spawn<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StorageError> + Send + 'static,
) -> Result<T, StorageError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| StorageError::CutOff)?
}

impl Inner {
    /// Opens an object's file.
    fn file(&self, key: Key, action: &'static str, flags: OFlags) -> Result<File, StorageError> {
        let opened = self.directory.open(&key.object_path(), flags);
        let file = opened.map_err(|errno| self.failed(key, action, errno))?;
        Ok(File::from(file))
    }

    fn failed(&self, key: Key, action: &'static str, errno: Errno) -> StorageError {
        let error = StorageError::opening(key, action, errno);
        if matches!(
            error,
            StorageError::Damaged {
                reason: PLANTED,
                ..
            }
        ) {
            self.tampered.store(true, Ordering::Relaxed);
            tracing::error!(%key, "{PLANTED}");
        }
        error
    }

    /// A plain file's length.
    fn length_of(&self, key: Key, file: &File) -> Result<u64, StorageError> {
        let metadata = file.metadata();
        let metadata =
            metadata.map_err(|error| StorageError::system("look at an object", error))?;
        if metadata.is_file() {
            Ok(metadata.len())
        } else {
            Err(self.failed(key, "look at an object", Errno::ISDIR))
        }
    }

    /// An object's file and length; what the disk says of it is noted.
    fn look_at(
        &self,
        key: Key,
        action: &'static str,
        flags: OFlags,
    ) -> Result<(File, u64), StorageError> {
        let file = self.file(key, action, flags);
        let looked = file.and_then(|file| Ok((self.length_of(key, &file)?, file)));
        let (length, file) = looked.inspect_err(|error| self.disk.note(error))?;
        Ok((file, length))
    }

    /// The folder that has the key's name.
    fn folder(&self, key: Key) -> Result<File, StorageError> {
        let path = format!("objects/{}", shard_name(key.shard()));
        let opened = self
            .directory
            .open(&path, OFlags::RDONLY | OFlags::DIRECTORY);
        let folder = opened.map_err(|errno| match errno {
            // A folder that is gone is not an object that is.
            Errno::NOENT => StorageError::system("open a folder of objects", errno.into()),
            errno => self.failed(key, "open a folder of objects", errno),
        })?;
        Ok(File::from(folder))
    }

    fn seal(&self, key: Key, size: u64) -> Result<Sealed, StorageError> {
        let file = self.file(key, "open an object", OFlags::RDWR)?;
        self.cut(key, &file, size)?;
        self.flush(key, &file)?;
        Ok(Sealed::new(key, size))
    }

    /// Takes off what is behind `size` bytes, of an attempt that was cut off.
    fn cut(&self, key: Key, file: &File, size: u64) -> Result<(), StorageError> {
        let length = self.length_of(key, file)?;
        if length < size {
            let reason = "it has lost bytes";
            return Err(StorageError::Damaged { key, reason });
        }
        if length > size {
            let cut = file.set_len(size);
            cut.map_err(|error| StorageError::system("cut an object", error))?;
            self.disk.given_back();
        }
        Ok(())
    }

    /// Remembers that a flush of the object failed.
    fn spoil(&self, key: Key, error: &StorageError) {
        self.disk.note(error);
        self.spoilt().insert(key);
    }

    /// Refuses an object that lost bytes in a flush.
    fn refuse_spoilt(&self, key: Key) -> Result<(), StorageError> {
        if self.spoilt().contains(&key) {
            return Err(StorageError::flush(Errno::IO.into()));
        }
        Ok(())
    }

    fn spoilt(&self) -> MutexGuard<'_, HashSet<Key>> {
        self.spoilt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes first, then the name.
    fn flush(&self, key: Key, file: &File) -> Result<(), StorageError> {
        self.refuse_spoilt(key)?;
        failpoint!("storage::flush::begun", StorageError::flush);
        let flushed = file.sync_data().map_err(StorageError::flush);
        flushed.inspect_err(|error| self.spoil(key, error))?;
        failpoint!("storage::flush::bytes", StorageError::flush);
        self.folder(key)?.sync_all().map_err(StorageError::flush)?;
        failpoint!("storage::flush::name");
        self.disk.note_written();
        Ok(())
    }

    fn delete(&self, key: Key) -> Result<(), StorageError> {
        self.opened.forget(key);
        self.spoilt().remove(&key);
        let folder = self.folder(key)?;
        failpoint!("storage::delete::begun", |error| {
            StorageError::system("remove an object", error)
        });
        match rustix::fs::unlinkat(&folder, key.to_string(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {
                failpoint!("storage::delete::done");
                Ok(())
            }
            Err(errno) => Err(self.failed(key, "remove an object", errno)),
        }
    }

    fn probe(&self) -> Result<(), StorageError> {
        if self.tampered.load(Ordering::Relaxed) {
            let (path, reason) = (self.root.join("objects"), PLANTED);
            return Err(StorageError::NotADirectory { path, reason });
        }
        self.directory.is_still(&self.root)?;
        install::check_folders(&self.directory, &self.root)
    }
}

impl ObjectStore for FilesystemStore {
    async fn appender(
        &self,
        key: Key,
        state: &AppendState,
        witness: Box<dyn Witness>,
    ) -> Result<Appender, StorageError> {
        let offset = state.offset();
        let claim = self.0.writers.claim(key).await;
        let file = self
            .blocking(move |inner| append::open(inner, key, offset))
            .await?;
        let appender = FileAppender::new(self.clone(), key, claim, file, offset, witness);
        Ok(Appender::Filesystem(appender))
    }

    async fn seal(&self, key: Key, state: &AppendState) -> Result<Sealed, StorageError> {
        let size = state.offset();
        let claim = self.0.writers.claim(key).await;
        self.blocking(move |inner| {
            let _claim = claim;
            inner.seal(key, size)
        })
        .await
    }

    async fn open(
        &self,
        key: Key,
        range: Range<u64>,
        size: u64,
    ) -> Result<ObjectReader, StorageError> {
        let range = range.start.min(size)..range.end.min(size);
        let reader = |opened| ObjectReader::Filesystem(FileReader::new(opened, range));
        if let Some(opened) = self.0.opened.get(key, size) {
            return Ok(reader(opened));
        }
        // Inline: opening is a look-up in the kernel's cache of names.
        let (file, length) = self.0.look_at(key, "open an object", OFlags::RDONLY)?;
        if length != size {
            let reason = "it has another length than was sealed";
            return Err(StorageError::Damaged { key, reason });
        }
        let opened = Arc::new(Opened::new(key, file, size, self.disk()));
        self.0.opened.keep(&opened);
        Ok(reader(opened))
    }

    async fn length(&self, key: Key) -> Result<Option<u64>, StorageError> {
        match self.0.look_at(key, "look at an object", OFlags::PATH) {
            Err(StorageError::NotFound { .. }) => Ok(None),
            looked => looked.map(|(_, length)| Some(length)),
        }
    }

    async fn delete(&self, key: Key) -> Result<(), StorageError> {
        self.blocking(move |inner| inner.delete(key)).await
    }

    async fn url(&self, _: Key, _: Duration) -> Result<Option<String>, StorageError> {
        Ok(None)
    }

    async fn list(&self, after: Option<Key>, limit: usize) -> Result<Vec<Key>, StorageError> {
        self.blocking(move |inner| read::list(&inner.directory, after, limit))
            .await
    }

    async fn probe(&self) -> Result<(), StorageError> {
        self.blocking(Inner::probe).await
    }
}

#[cfg(test)]
mod tests;
