//! The root as a descriptor: paths are resolved beneath it, whatever its own path comes to name.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::error::StorageError;

/// An open directory that paths are resolved beneath.
#[derive(Debug)]
pub(super) struct Directory(File);

/// New files are for this user, and to be read by its group; the process's umask takes away more.
const FILE_MODE: Mode = Mode::from_raw_mode(0o640);

impl Directory {
    /// Opens the directory. Links in its own path are followed: that is the operator's business.
    pub(super) fn open_root(path: &Path) -> Result<Self, StorageError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(CWD, path, flags, Mode::empty());
        let root = opened.map_err(|errno| StorageError::Directory {
            action: "open",
            path: path.to_owned(),
            source: errno.into(),
        })?;
        Ok(Self(File::from(root)))
    }

    /// Opens a path beneath the directory, through no link.
    pub(super) fn open(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        let mode = if flags.contains(OFlags::CREATE) {
            FILE_MODE
        } else {
            Mode::empty()
        };
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let mut flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        if !flags.contains(OFlags::PATH) {
            // A pipe that somebody planted must not be waited for.
            flags |= OFlags::NONBLOCK | OFlags::NOCTTY;
        }
        // The kernel asks to be called again where a name on the way was moved meanwhile.
        loop {
            match rustix::fs::openat2(&self.0, path, flags, mode, resolve) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                opened => return opened,
            }
        }
    }

    /// Whether the path still names the directory that was opened.
    pub(super) fn is_still(&self, path: &Path) -> Result<(), StorageError> {
        let failed = |source| StorageError::Directory {
            action: "look at",
            path: path.to_owned(),
            source,
        };
        let opened = self.0.metadata().map_err(failed)?;
        let named = std::fs::metadata(path).map_err(failed)?;
        if (opened.dev(), opened.ino()) == (named.dev(), named.ino()) {
            return Ok(());
        }
        Err(StorageError::NotADirectory {
            path: path.to_owned(),
            reason: "it was replaced while the registry ran",
        })
    }

    pub(super) fn file(&self) -> &File {
        &self.0
    }
}
