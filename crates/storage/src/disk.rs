//! What is known of the disk: the room that it has, and what the last writes and reads said.
//!
//! A reserve of free space is kept for the metadata database: what uploads bring is refused before
//! it is reached, so that a disk filled by pushes still takes deletes. Space is asked for at most
//! every [`FRESH`]; in between, what was promised to uploads is counted down.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::statvfs;
use rustix::io::Errno;

use crate::error::StorageError;

/// How the disk is, from its room and from what the last writes and reads said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// It takes what is written.
    Works,
    /// Only the reserve is left, or it has no room: it is read and deleted from.
    Full,
    /// It can only be read.
    ReadOnly,
    /// A write, a flush or a read failed, and nothing was flushed since.
    Failing,
}

impl Condition {
    const ALL: [Self; 4] = [Self::Works, Self::Full, Self::ReadOnly, Self::Failing];

    fn at(number: u8) -> Self {
        let found = Self::ALL.get(usize::from(number));
        found.copied().unwrap_or(Self::Failing)
    }
}

/// The disk, or the disks, under a registry.
#[derive(Debug)]
pub struct Disk {
    watched: Vec<Watched>,
    /// As `Condition`: what the last writes and reads said.
    writes: AtomicU8,
    /// As `Condition`: what was told last.
    told: Mutex<Condition>,
}

/// A file system whose room is watched.
#[derive(Debug)]
struct Watched {
    /// Asked by its path: a descriptor would be one less for clients.
    directory: PathBuf,
    reserve: u64,
    begun: Instant,
    /// When it was asked, in milliseconds since `begun`.
    asked: AtomicU64,
    /// What is free, less what was promised since it was asked.
    free: AtomicU64,
    /// 1 from where only the reserve was left until there is clearly more.
    full: AtomicU8,
}

/// For so long what is known of the room counts.
const FRESH: Duration = Duration::from_millis(100);
/// Where it does not suffice, it is asked again no sooner.
const ASKED_AGAIN: Duration = Duration::from_millis(10);
/// The reserve where none is configured: this, or a part of a small disk.
const RESERVE_BYTES: u64 = 1 << 30;
const RESERVE_PART: u64 = 50;
/// A full disk has room again once this part of the reserve is free on top of it, so that every
/// upload that fails and gives its bytes back does not change the condition twice.
const MARGIN_PART: u64 = 8;

impl Disk {
    /// A disk without bounds, for what has none.
    #[must_use]
    pub fn boundless() -> Self {
        Self {
            watched: Vec::new(),
            writes: AtomicU8::new(0),
            told: Mutex::new(Condition::Works),
        }
    }

    /// Watches the file systems of these directories; `reserve` bytes are kept free on each, by
    /// default 1 GiB or 2 % of a small one.
    ///
    /// # Errors
    /// [`StorageError::Directory`].
    pub fn watch(directories: &[&Path], reserve: Option<u64>) -> Result<Self, StorageError> {
        let mut disk = Self::boundless();
        let mut devices = Vec::new();
        for path in directories {
            let failed = |source| StorageError::Directory {
                action: "look at the free space of",
                path: (*path).to_owned(),
                source,
            };
            let device = match std::fs::metadata(path) {
                // Whoever needs it says so.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                found => found.map_err(failed)?.dev(),
            };
            if devices.contains(&device) {
                continue;
            }
            devices.push(device);
            let watched = Watched::new(path, reserve).map_err(failed)?;
            disk.watched.push(watched);
        }
        Ok(disk)
    }

    /// Takes `bytes` of what is free besides the reserve.
    ///
    /// # Errors
    /// [`StorageError::Reserve`] where they would not leave it.
    pub fn take(&self, bytes: u64) -> Result<(), StorageError> {
        self.room(bytes)?;
        if let Some(watched) = self.watched.first() {
            watched.count_down(bytes);
        }
        Ok(())
    }

    /// Whether `bytes` more would leave the reserve free. A call of the system at most, on a disk
    /// with room one every [`FRESH`].
    ///
    /// # Errors
    /// [`StorageError::Reserve`].
    pub fn room(&self, bytes: u64) -> Result<(), StorageError> {
        // Objects are on the first; what the database needs is little.
        let mut wanted = bytes;
        for watched in &self.watched {
            if !watched.has_room(wanted) {
                self.tell();
                return Err(StorageError::Reserve);
            }
            wanted = 0;
        }
        Ok(())
    }

    /// Bytes were given back: what is known of the room is of before.
    pub(crate) fn given_back(&self) {
        self.watched.iter().for_each(Watched::ask);
    }

    /// How the disk is now; says so in the log where that has changed.
    pub fn condition(&self) -> Condition {
        for watched in &self.watched {
            watched.ask_if_older(FRESH);
        }
        self.tell()
    }

    /// Takes note of how a write or a read ended.
    pub(crate) fn note(&self, error: &StorageError) {
        let noted = match error {
            StorageError::Flush(_) => Condition::Failing,
            StorageError::ReadOnly { .. } => Condition::ReadOnly,
            // A file that may not become larger says nothing of the disk.
            StorageError::Full { source, .. } if !is(source, &[Errno::FBIG]) => Condition::Full,
            StorageError::Io { source, .. } | StorageError::Directory { source, .. }
                if is_broken(source) =>
            {
                Condition::Failing
            }
            _ => return,
        };
        self.writes.store(noted as u8, Ordering::Relaxed);
        self.tell();
    }

    /// Takes note that the database said it cannot be written to.
    pub fn note_read_only(&self) {
        self.writes
            .store(Condition::ReadOnly as u8, Ordering::Relaxed);
        self.tell();
    }

    /// Takes note that something was written and flushed.
    pub fn note_written(&self) {
        if self.writes.swap(0, Ordering::Relaxed) != 0 {
            self.tell();
        }
    }

    fn told(&self) -> std::sync::MutexGuard<'_, Condition> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) -> Condition {
        let mut told = self.told();
        let writes = Condition::at(self.writes.load(Ordering::Relaxed));
        let full = self.watched.iter().any(Watched::is_full);
        let now = writes.max(if full {
            Condition::Full
        } else {
            Condition::Works
        });
        if now != *told {
            *told = now;
            self.log(now);
        }
        now
    }

    fn log(&self, now: Condition) {
        match now {
            Condition::Works => tracing::info!("the disk takes what is written again"),
            Condition::Full => {
                let free = self.watched.first().map(|watched| watched.free());
                let reserve = self.watched.first().map(|watched| watched.reserve);
                tracing::error!(
                    free,
                    reserve,
                    "the disk is full: pushes are refused with 507, reads and deletes go on"
                );
            }
            Condition::ReadOnly => {
                tracing::error!("the disk is read-only: pushes and deletes fail, reads go on");
            }
            Condition::Failing => tracing::error!(
                "the disk is failing: what is pushed may not be kept, what is read may not come whole"
            ),
        }
    }
}

/// Errors of a device, not of what was asked of it.
const BROKEN: [Errno; 6] = [
    Errno::IO,
    Errno::NXIO,
    Errno::NODEV,
    Errno::STALE,
    Errno::BADMSG,
    Errno::UCLEAN,
];

/// Whether an error is the disk's, and not of what was asked of it.
pub(crate) fn is_broken(error: &io::Error) -> bool {
    is(error, &BROKEN)
}

fn is(error: &io::Error, wanted: &[Errno]) -> bool {
    Errno::from_io_error(error).is_some_and(|errno| wanted.contains(&errno))
}

impl Watched {
    fn new(directory: &Path, reserve: Option<u64>) -> io::Result<Self> {
        let space = statvfs(directory)?;
        let total = space.f_blocks.saturating_mul(space.f_frsize);
        let watched = Self {
            directory: directory.to_owned(),
            reserve: reserve.unwrap_or_else(|| RESERVE_BYTES.min(total / RESERVE_PART)),
            begun: Instant::now(),
            asked: AtomicU64::new(0),
            free: AtomicU64::new(0),
            full: AtomicU8::new(0),
        };
        watched.ask();
        Ok(watched)
    }

    fn free(&self) -> u64 {
        self.free.load(Ordering::Relaxed)
    }

    fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed) != 0
    }

    fn has_room(&self, bytes: u64) -> bool {
        self.ask_if_older(FRESH);
        if !self.leaves_reserve(bytes) {
            self.ask_if_older(ASKED_AGAIN);
        }
        self.leaves_reserve(bytes)
    }

    fn count_down(&self, bytes: u64) {
        let less = |free: u64| Some(free.saturating_sub(bytes));
        let _ = self
            .free
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    fn leaves_reserve(&self, bytes: u64) -> bool {
        !self.is_full() && self.free() >= self.reserve.saturating_add(bytes)
    }

    fn ask_if_older(&self, age: Duration) {
        let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        if self.now() - self.asked.load(Ordering::Relaxed).min(self.now()) >= age {
            self.ask();
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// One call of the system. Where it fails, what was known last stays.
    fn ask(&self) {
        self.asked.store(self.now(), Ordering::Relaxed);
        let Ok(space) = statvfs(&self.directory) else {
            return;
        };
        let free = space.f_bavail.saturating_mul(space.f_frsize);
        self.free.store(free, Ordering::Relaxed);
        if free < self.reserve {
            self.full.store(1, Ordering::Relaxed);
        } else if free >= self.reserve.saturating_add(self.reserve / MARGIN_PART) {
            self.full.store(0, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(reserve: u64) -> Disk {
        let directory = tempfile::tempdir().unwrap();
        Disk::watch(&[directory.path(), directory.path()], Some(reserve)).unwrap()
    }

    #[test]
    fn below_the_reserve_nothing_is_taken() {
        let disk = disk(u64::MAX);
        assert_eq!(disk.watched.len(), 1, "one file system is watched once");
        assert!(matches!(disk.take(0), Err(StorageError::Reserve)));
        assert_eq!(disk.condition(), Condition::Full);
    }

    #[test]
    fn what_does_not_fit_is_refused_and_the_disk_is_not_full_for_that() {
        let disk = disk(0);
        disk.take(4096).unwrap();
        assert!(disk.take(u64::MAX / 2).is_err());
        disk.take(4096).unwrap();
        assert_eq!(disk.condition(), Condition::Works);
    }

    #[test]
    fn what_is_promised_is_counted_until_the_disk_is_asked_again() {
        let disk = disk(0);
        let watched = &disk.watched[0];
        watched.asked.store(u64::MAX, Ordering::Relaxed);
        watched.free.store(10_000, Ordering::Relaxed);
        disk.take(6_000).unwrap();
        assert_eq!(watched.free(), 4_000);
        assert!(disk.take(6_000).is_err());
    }

    #[test]
    fn a_condition_stays_until_a_write_succeeds() {
        let disk = disk(0);
        let failed = |errno: Errno| StorageError::system("write", errno.into());
        disk.note(&StorageError::Flush(Errno::IO.into()));
        assert_eq!(disk.condition(), Condition::Failing);
        disk.note_written();
        assert_eq!(disk.condition(), Condition::Works);
        for (errno, condition) in [
            (Errno::ROFS, Condition::ReadOnly),
            (Errno::IO, Condition::Failing),
            (Errno::DQUOT, Condition::Full),
        ] {
            disk.note(&failed(errno));
            assert_eq!(disk.condition(), condition);
            disk.take(1).unwrap();
        }
        disk.note_written();
        for errno in [Errno::FBIG, Errno::MFILE, Errno::ACCESS] {
            disk.note(&failed(errno));
            assert_eq!(disk.condition(), Condition::Works, "{errno}");
        }
    }
}
