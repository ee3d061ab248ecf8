//! Room for the index of the log, the file `-shm`.
//!
//! SQLite maps it and writes to the map. Where the disk has no room for a page of a map there is no
//! error but a signal (SIGBUS), which ends the process without a word. SQLite writes the last byte
//! of each 4 KiB before it maps them; on a file system with smaller blocks that leaves holes. So the
//! room is taken here: before SQLite opens the file, since the first connection cuts off what an
//! earlier process left of it and then needs as much again; and after that for as long a log as the
//! registry lets grow, held as a file that stays open.

use std::fs::{self, File};
use std::path::Path;

use rustix::fs::{CWD, FallocateFlags, Mode, OFlags, fallocate};
use rustix::io::Errno;

use crate::error::MetadataError;

use super::file::{beside, io_error, own};

/// The index of an open database, with room.
///
/// To close any descriptor of a file takes away the locks that this process has on it, SQLite's own
/// included: drop this after the last connection.
#[derive(Debug)]
pub(super) struct LogIndex {
    _file: File,
}

impl LogIndex {
    /// Makes sure that there is room for the index of a log of `log_bytes`. Only before this process
    /// has the database open.
    ///
    /// # Errors
    /// [`MetadataError::Io`]: there is none.
    pub(super) fn make_room(database: &Path, log_bytes: u64) -> Result<(), MetadataError> {
        let path = beside(database, "-shm");
        let there = fs::symlink_metadata(&path).is_ok();
        let file = open(&path, OFlags::CREATE)?;
        if !there {
            own(&file, database);
        }
        allocate(&file, steps(log_bytes)).map_err(|errno| no_room(&path, errno))
    }

    /// Takes room for the index of a database that was opened.
    ///
    /// # Errors
    /// [`MetadataError::Io`]: there is not even room for the first step of it.
    pub(super) fn hold(database: &Path, log_bytes: u64) -> Result<Self, MetadataError> {
        let path = beside(database, "-shm");
        let file = open(&path, OFlags::empty())?;
        let needed = steps(log_bytes);
        let held = allocate(&file, needed.max(STEPS_HELD)).or_else(|_| allocate(&file, needed));
        held.map_err(|errno| no_room(&path, errno))?;
        Ok(Self { _file: file })
    }
}

fn steps(log_bytes: u64) -> u64 {
    1 + log_bytes / LOG_BYTES_A_STEP
}

fn open(path: &Path, flags: OFlags) -> Result<File, MetadataError> {
    let flags = flags | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(CWD, path, flags, Mode::RUSR | Mode::WUSR) {
        Ok(file) => Ok(File::from(file)),
        Err(Errno::LOOP) => Err(MetadataError::NotAFile {
            path: path.to_owned(),
        }),
        Err(errno) => Err(no_room(path, errno)),
    }
}

fn allocate(file: &File, steps: u64) -> Result<(), Errno> {
    loop {
        match fallocate(file, FallocateFlags::empty(), 0, steps * STEP_BYTES) {
            Err(Errno::INTR) => {}
            // File systems that cannot promise room: what SQLite does has to do.
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => return Ok(()),
            done => return done,
        }
    }
}

fn no_room(path: &Path, errno: Errno) -> MetadataError {
    io_error("make room on the disk for", path)(errno.into())
}

/// The steps in which SQLite maps the index.
const STEP_BYTES: u64 = 32 << 10;
/// What of the log one of them describes: 4,062 pages at least.
const LOG_BYTES_A_STEP: u64 = 4_062 * 4_096;
/// Enough for 127 MiB of log; it is cut at 64 MiB unless somebody reads for long.
const STEPS_HELD: u64 = 8;
