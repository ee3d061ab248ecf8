//! What can go wrong with bytes, by kind. The codes of the system are translated here and nowhere
//! else.

use std::io;
use std::path::PathBuf;

use rustix::io::Errno;

use crate::key::Key;

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// There is no such object.
    #[error("there is no object {key}")]
    NotFound {
        /// Which.
        key: Key,
    },
    /// The object is not as it was written: another length, cut short, or no plain file.
    #[error("the object {key} is damaged: {reason}")]
    Damaged {
        /// Which.
        key: Key,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// There is no room: the disk, a quota, or the largest file that this process may write.
    #[error("there is no room left to {action}")]
    Full {
        /// What was tried, as a verb with its object.
        action: &'static str,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// What is left of the disk is kept for the metadata database and for deletes. Nothing was tried.
    #[error("only the reserve of free space is left")]
    Reserve,
    /// The file system cannot be written to.
    #[error("cannot {action}: the file system is read-only")]
    ReadOnly {
        /// What was tried.
        action: &'static str,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// This process, or the system, has as many files open as it may.
    #[error("cannot {action}: too many files are open, raise the limit (ulimit -n)")]
    TooManyFiles {
        /// What was tried.
        action: &'static str,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The system refused for another reason.
    #[error("cannot {action}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A flush failed: bytes of the object may be lost, whatever a later read of them says. The
    /// object must be given up.
    #[error("an object could not be flushed to the disk")]
    Flush(#[source] io::Error),
    /// An earlier write to the object failed; nothing more is written to it.
    #[error("the object {key} cannot be written any more, since a write to it failed")]
    Broken {
        /// Which.
        key: Key,
    },
    /// The task that did it was cut off: at shutdown, or by a panic.
    #[error("the store was cut off")]
    CutOff,
    /// Another process has the directory.
    #[error(
        "another process is using the data directory {path}: stop it, or give this one a \
         directory of its own"
    )]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// Others than owner and group may write to the directory.
    #[error("everybody may write to {path}: take that away (chmod o-w) or use another directory")]
    OpenToAll {
        /// The directory.
        path: PathBuf,
    },
    /// Something that is no directory, or not the one that was opened, stands where one must be.
    #[error("{path} is not the directory that it must be: {reason}")]
    NotADirectory {
        /// What stands there.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A directory of the store cannot be made or opened.
    #[error("cannot {action} {path}")]
    Directory {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The kernel has no openat2 (Linux 5.6), without which paths cannot be confined.
    #[error("this kernel is too old: Linux 5.6 or newer is needed (openat2)")]
    OldKernel,
}

impl StorageError {
    /// An error of the system while an object was worked on.
    pub(crate) fn system(action: &'static str, source: io::Error) -> Self {
        match Errno::from_io_error(&source) {
            Some(Errno::NOSPC | Errno::DQUOT | Errno::FBIG) => Self::Full { action, source },
            Some(Errno::ROFS) => Self::ReadOnly { action, source },
            Some(Errno::MFILE | Errno::NFILE) => Self::TooManyFiles { action, source },
            Some(Errno::NOSYS) => Self::OldKernel,
            _ => Self::Io { action, source },
        }
    }

    /// An error of a flush.
    pub(crate) fn flush(source: io::Error) -> Self {
        match Self::system("flush an object", source) {
            Self::Io { source, .. } => Self::Flush(source),
            full => full,
        }
    }

    /// An error of the system while an object was opened.
    pub(crate) fn opening(key: Key, action: &'static str, errno: Errno) -> Self {
        match errno {
            Errno::NOENT => Self::NotFound { key },
            // A link, or a way out of the directory: somebody planted it.
            Errno::LOOP | Errno::XDEV | Errno::NOTDIR | Errno::ISDIR => Self::Damaged {
                key,
                reason: PLANTED,
            },
            errno => Self::system(action, errno.into()),
        }
    }
}

/// What is said of an object or folder that is a link or something else than it must be.
pub(crate) const PLANTED: &str = "a link or no plain file stands in its place";
