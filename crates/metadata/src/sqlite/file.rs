//! The database's files: the lock that one process holds, what they may be and on what they may
//! stand, and how a new one comes to be.
//!
//! A file that is there is never replaced, whatever is in it. A new database is made whole under
//! another name and then renamed, so that an empty file is always a damaged one.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use roadstead_failpoint::failpoint;
use rustix::fs::{CWD, FlockOperation, Mode, OFlags, fcntl_lock};
use rustix::io::Errno;

use crate::error::MetadataError;

/// The files of one database.
#[derive(Debug, Clone)]
pub(super) struct Files {
    pub(super) database: PathBuf,
    pub(super) log: PathBuf,
}

impl Files {
    /// Resolves links in the directory's path; the file itself may not be one.
    pub(super) fn resolve(path: &Path) -> Result<Files, MetadataError> {
        let Some(name) = path.file_name() else {
            return Err(MetadataError::NotAFile {
                path: path.to_owned(),
            });
        };
        let directory = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let directory = fs::canonicalize(directory).map_err(io_error("open", directory))?;
        let database = directory.join(name);
        Ok(Files {
            log: beside(&database, "-wal"),
            database,
        })
    }

    /// Takes the lock that one process holds; it goes with the file. Waits for commands that share
    /// it for a moment ([`Files::visit`]).
    pub(super) fn lock(&self) -> Result<File, MetadataError> {
        let (path, lock) = self.open_lock()?;
        let failed = |errno: Errno| io_error("lock", &path)(errno.into());
        loop {
            if flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(failed)? {
                return Ok(lock);
            }
            if !flock(&lock, FlockOperation::NonBlockingLockShared).map_err(failed)? {
                return Err(MetadataError::InUse {
                    path: self.database.clone(),
                });
            }
            flock(&lock, FlockOperation::Unlock).map_err(failed)?;
            tracing::info!("waiting for a command that changes the metadata database");
            wait_for_turn(&lock).map_err(failed)?;
            fcntl_lock(&lock, FlockOperation::Unlock).map_err(failed)?;
        }
    }

    /// Waits until no other command is at the database, and keeps a registry from starting
    /// meanwhile. Second: whether none runs.
    pub(super) fn visit(&self) -> Result<(File, bool), MetadataError> {
        let (path, lock) = self.open_lock()?;
        own(&lock, &self.database);
        let failed = |errno: Errno| io_error("lock", &path)(errno.into());
        wait_for_turn(&lock).map_err(failed)?;
        let alone = flock(&lock, FlockOperation::NonBlockingLockShared).map_err(failed)?;
        Ok((lock, alone))
    }

    fn open_lock(&self) -> Result<(PathBuf, File), MetadataError> {
        let path = self.lock_path();
        let flags = OFlags::CREATE | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let lock =
            rustix::fs::openat(CWD, &path, flags, Mode::RUSR | Mode::WUSR).map_err(|errno| {
                match errno {
                    Errno::LOOP => MetadataError::NotAFile { path: path.clone() },
                    _ => io_error("open", &path)(errno.into()),
                }
            })?;
        refuse_network(&self.database, &lock)?;
        Ok((path, File::from(lock)))
    }

    /// Whether there is a database, which is then a plain file that begins as one of ours does.
    /// So are the files that SQLite keeps beside it, which would only say that it cannot open one.
    pub(super) fn check(&self) -> Result<bool, MetadataError> {
        for path in [self.log.clone(), beside(&self.database, "-shm")] {
            if fs::symlink_metadata(&path).is_ok_and(|found| !found.is_file()) {
                return Err(MetadataError::NotAFile { path });
            }
        }
        let metadata = match fs::symlink_metadata(&self.database) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if self.log_bytes() > 0 {
                    return Err(self.damaged("it is gone, but its -wal file is still there"));
                }
                return Ok(false);
            }
            Err(error) => return Err(io_error("open", &self.database)(error)),
        };
        if !metadata.is_file() {
            return Err(MetadataError::NotAFile {
                path: self.database.clone(),
            });
        }
        let failed = |error| io_error("read", &self.database)(error);
        let mut header = Vec::with_capacity(HEADER_BYTES);
        let file = File::open(&self.database).map_err(failed)?;
        file.take(HEADER_BYTES as u64)
            .read_to_end(&mut header)
            .map_err(failed)?;
        self.check_header(&header, metadata.len())?;
        Ok(true)
    }

    fn check_header(&self, header: &[u8], file_bytes: u64) -> Result<(), MetadataError> {
        if header.len() < HEADER_BYTES {
            return Err(self.damaged("it is cut short"));
        }
        if !header.starts_with(MAGIC) {
            return Err(self.damaged("it is no SQLite database"));
        }
        if number(header, 68) != APPLICATION_ID {
            return Err(self.damaged("it is a database of another program"));
        }
        let page_bytes = match u64::from(number(header, 16) >> 16) {
            1 => 65_536,
            bytes => bytes,
        };
        // While there is a log, the file may rightly be shorter than its header says.
        let counted = number(header, 24) == number(header, 92);
        let expected = page_bytes * u64::from(number(header, 28));
        if counted && file_bytes < expected && self.log_bytes() == 0 {
            return Err(self.damaged("it is cut short"));
        }
        Ok(())
    }

    /// Makes a new database by `build`, which is given a path to make it at.
    pub(super) fn create(
        &self,
        build: impl FnOnce(&Path) -> Result<(), MetadataError>,
    ) -> Result<(), MetadataError> {
        let new = beside(&self.database, ".new");
        for leftover in [
            new.clone(),
            beside(&new, "-wal"),
            beside(&new, "-shm"),
            beside(&new, "-journal"),
        ] {
            match fs::remove_file(&leftover) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(io_error("remove", &leftover)(error));
                }
                _ => {}
            }
        }
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
        let file = rustix::fs::openat(CWD, &new, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|errno| io_error("create", &new)(errno.into()))?;
        build(&new)?;
        File::from(file)
            .sync_all()
            .map_err(io_error("flush", &new))?;
        failpoint!("metadata::create::built");
        fs::rename(&new, &self.database).map_err(io_error("create", &self.database))?;
        failpoint!("metadata::create::renamed");
        let directory = self.database.parent().unwrap_or(Path::new("/"));
        let opened = File::open(directory).map_err(io_error("open", directory))?;
        opened.sync_all().map_err(io_error("flush", directory))
    }

    pub(super) fn lock_path(&self) -> PathBuf {
        beside(&self.database, ".lock")
    }

    pub(super) fn has_log(&self) -> bool {
        fs::symlink_metadata(&self.log).is_ok()
    }

    /// The length of the log; 0 where there is none.
    pub(super) fn log_bytes(&self) -> u64 {
        fs::symlink_metadata(&self.log).map_or(0, |log| log.len())
    }

    pub(super) fn damaged(&self, reason: &'static str) -> MetadataError {
        MetadataError::Damaged {
            path: self.database.clone(),
            reason,
        }
    }
}

/// Whether the lock was free, of those that go with an open file: a registry holds it alone, commands
/// share it.
fn flock(lock: &File, operation: FlockOperation) -> Result<bool, Errno> {
    match rustix::fs::flock(lock, operation) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Waits for the lock that goes with a process, which a command holds for as long as it is at the
/// database. Closing the file gives it back.
fn wait_for_turn(lock: &File) -> Result<(), Errno> {
    loop {
        match fcntl_lock(lock, FlockOperation::LockExclusive) {
            Err(Errno::INTR) => {}
            done => return done,
        }
    }
}

/// The database's owner must be able to open a file beside it, whoever made it; SQLite does the
/// same.
pub(super) fn own(file: &File, database: &Path) {
    if let Ok(owner) = fs::metadata(database)
        && rustix::process::geteuid().is_root()
    {
        // Where it cannot be, opening it says at the next start what is wrong.
        let _ = fchown(file, Some(owner.uid()), Some(owner.gid()));
    }
}

/// Network file systems lose locks and flushes; memory loses everything at the next boot.
fn refuse_network(path: &Path, lock: &rustix::fd::OwnedFd) -> Result<(), MetadataError> {
    let found =
        rustix::fs::fstatfs(lock).map_err(|errno| io_error("look at", path)(errno.into()))?;
    let magic = u64::try_from(found.f_type).unwrap_or_default() & u64::from(u32::MAX);
    if let Some((_, kind)) = NETWORK.iter().find(|(known, _)| *known == magic) {
        return Err(MetadataError::NetworkFilesystem {
            path: path.to_owned(),
            kind,
        });
    }
    if magic == TMPFS {
        tracing::warn!(
            path = %path.display(),
            "the metadata database is on tmpfs, everything is lost when this machine restarts"
        );
    }
    Ok(())
}

pub(super) fn io_error(
    action: &'static str,
    path: &Path,
) -> impl FnOnce(io::Error) -> MetadataError {
    let path = path.to_owned();
    move |source| MetadataError::Io {
        action,
        path,
        source: Arc::new(source),
    }
}

pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Four bytes of the header, big endian (SQLite file format §1.3).
fn number(header: &[u8], at: usize) -> u32 {
    let bytes = header
        .get(at..at + 4)
        .and_then(|bytes| bytes.try_into().ok());
    u32::from_be_bytes(bytes.unwrap_or_default())
}

/// "Road": marks a database as ours.
pub(super) const APPLICATION_ID: u32 = 0x526f_6164;

const MAGIC: &[u8] = b"SQLite format 3\0";
const HEADER_BYTES: usize = 100;

/// Magic numbers of statfs(2).
const NETWORK: &[(u64, &str)] = &[
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB2"),
    (0x5346_414f, "AFS"),
    (0x00c3_6400, "Ceph"),
    (0x0102_1997, "9P"),
];
const TMPFS: u64 = 0x0102_1994;
