//! What must stand before the first object: the root, its folders, and the lock.

use std::fs::File;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

use roadstead_failpoint::failpoint;
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{PLANTED, StorageError};
use crate::key::{SHARDS, shard_name};

use super::directory::Directory;

/// A root that is ready.
pub(super) struct Installed {
    pub(super) directory: Directory,
    /// `objects`, with the lock on it.
    pub(super) objects: File,
}

/// Folders are for this user, and to be read by its group.
const FOLDER_MODE: u32 = 0o750;

/// Makes what is not there, flushes it, and takes the lock.
pub(super) fn open(root: &Path) -> Result<Installed, StorageError> {
    make_root(root)?;
    let directory = Directory::open_root(root)?;
    check_owner(root, directory.file())?;
    make(&directory, root, "objects")?;
    let objects = folder(&directory, root, "objects")?;
    lock(&objects, root)?;
    let mut any = false;
    for shard in 0..SHARDS {
        any |= make(&directory, root, &shard_path(shard))?;
    }
    failpoint!("storage::install::made");
    // All are made before the first is flushed: most file systems then write them out together.
    for shard in 0..SHARDS {
        let folder = folder(&directory, root, &shard_path(shard))?;
        if any {
            flush(&folder, root)?;
        }
    }
    // At each start: one that was cut off may have made folders and not come to this.
    flush(&objects, root)?;
    flush(directory.file(), root)?;
    failpoint!("storage::install::flushed");
    Ok(Installed { directory, objects })
}

/// Whether every folder is a real one.
pub(super) fn check_folders(directory: &Directory, root: &Path) -> Result<(), StorageError> {
    for shard in 0..SHARDS {
        folder(directory, root, &shard_path(shard))?;
    }
    Ok(())
}

fn shard_path(shard: u16) -> String {
    format!(
        "objects/{}",
        shard_name(u8::try_from(shard).unwrap_or(u8::MAX))
    )
}

/// The root with all above it; what was made is flushed from below.
fn make_root(root: &Path) -> Result<(), StorageError> {
    if root.is_dir() {
        return Ok(());
    }
    let failed = |source| StorageError::Directory {
        action: "make",
        path: root.to_owned(),
        source,
    };
    let mut builder = std::fs::DirBuilder::new();
    builder
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(root)
        .map_err(failed)?;
    let absolute = std::path::absolute(root).map_err(failed)?;
    for above in absolute.ancestors().skip(1) {
        match File::open(above).and_then(|opened| opened.sync_all()) {
            // One that may not be read was there before, and so were those above it.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => break,
            flushed => flushed.map_err(failed)?,
        }
    }
    Ok(())
}

fn check_owner(root: &Path, opened: &File) -> Result<(), StorageError> {
    let metadata = opened
        .metadata()
        .map_err(|source| StorageError::Directory {
            action: "look at",
            path: root.to_owned(),
            source,
        })?;
    if metadata.mode() & 0o002 != 0 {
        return Err(StorageError::OpenToAll {
            path: root.to_owned(),
        });
    }
    let path = root.display();
    if metadata.mode() & 0o020 != 0 {
        // Kubernetes makes volumes so with fsGroup.
        tracing::warn!(%path, "the data directory's group may write to it");
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        tracing::warn!(%path, owner = metadata.uid(), "the data directory belongs to another user");
    }
    Ok(())
}

fn lock(objects: &File, root: &Path) -> Result<(), StorageError> {
    match rustix::fs::flock(objects, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(()),
        Err(Errno::WOULDBLOCK) => Err(StorageError::InUse {
            path: root.to_owned(),
        }),
        Err(errno) => Err(StorageError::Directory {
            action: "lock",
            path: root.join("objects"),
            source: errno.into(),
        }),
    }
}

/// Makes a folder; `false` if it was there.
fn make(directory: &Directory, root: &Path, path: &str) -> Result<bool, StorageError> {
    match rustix::fs::mkdirat(directory.file(), path, Mode::from_raw_mode(FOLDER_MODE)) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        // On a read-only file system the name may be there all the same.
        Err(Errno::ROFS) if directory.open(path, OFlags::PATH).is_ok() => Ok(false),
        Err(errno) => Err(StorageError::Directory {
            action: "make",
            path: root.join(path),
            source: errno.into(),
        }),
    }
}

pub(super) fn folder(directory: &Directory, root: &Path, path: &str) -> Result<File, StorageError> {
    let opened = directory.open(path, OFlags::RDONLY | OFlags::DIRECTORY);
    opened.map(File::from).map_err(|errno| match errno {
        Errno::NOSYS => StorageError::OldKernel,
        Errno::LOOP | Errno::NOTDIR | Errno::XDEV => StorageError::NotADirectory {
            path: root.join(path),
            reason: PLANTED,
        },
        errno => StorageError::Directory {
            action: "open",
            path: root.join(path),
            source: errno.into(),
        },
    })
}

pub(super) fn flush(folder: &File, root: &Path) -> Result<(), StorageError> {
    folder.sync_all().map_err(|source| StorageError::Directory {
        action: "flush",
        path: root.to_owned(),
        source,
    })
}
