//! Files that are read at start, and again when they have changed.
//!
//! Whether one has changed is looked up at most once a second, when somebody needs it, on a thread
//! that may block; meanwhile everybody else goes on with what was read before.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use sha2::{Digest as _, Sha256};

/// A file and what is known of its content.
pub(crate) struct WatchedFile {
    path: PathBuf,
    max_bytes: u64,
    /// Held for as long as a disk needs, so by nobody but the look that runs.
    seen: Mutex<Seen>,
    look: Mutex<Look>,
}

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadProblem {
    /// It cannot be opened or read.
    #[error("it cannot be read")]
    Unreadable(#[from] io::Error),
    /// It is a directory, a pipe or a device.
    #[error("it is not a regular file")]
    NotAFile,
    /// It is larger than any such file.
    #[error("it is larger than {0} bytes")]
    TooLarge(u64),
}

/// What the file was when it was last read.
struct Seen {
    stamp: Option<Stamp>,
    /// SHA-256 of the content that was understood, or not, last.
    content: Option<[u8; 32]>,
    /// The file was old enough for its next change to show in the stamp.
    settled: bool,
}

/// What the system says of a file, and what changes when its content does.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// When to look again.
struct Look {
    running: bool,
    next: Instant,
}

/// A look at the file; only one runs, also where its disk hangs and whoever began it is gone.
struct Looking(Arc<WatchedFile>);

/// Between two looks at the file.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);
/// The longest that anybody waits for a look.
const PATIENCE: Duration = Duration::from_secs(1);
/// Two changes within one tick of the system's clock look alike; no clock ticks slower.
const TICK: Duration = Duration::from_secs(2);

impl WatchedFile {
    /// Reads the file for the first time. Blocks.
    pub(crate) fn open(path: &Path, max_bytes: u64) -> Result<(Self, Vec<u8>), ReadProblem> {
        let (stamp, bytes) = read(path, max_bytes)?;
        let file = Self {
            path: path.to_owned(),
            max_bytes,
            seen: Mutex::new(Seen::new(stamp, &bytes)),
            look: Mutex::new(Look {
                running: false,
                next: Instant::now() + INTERVAL,
            }),
        };
        Ok((file, bytes))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Looks whether it is time to; `refresh` then runs where it may block, and is waited for as
    /// long as anybody waits for a disk.
    pub(crate) async fn look(self: &Arc<Self>, refresh: impl FnOnce() + Send + 'static) {
        if let Some(looking) = self.begin_look(Instant::now()) {
            let look = tokio::task::spawn_blocking(move || {
                let _until_done = looking;
                refresh();
            });
            // Whatever becomes of the look: there is something to go on with.
            let _outcome = tokio::time::timeout(PATIENCE, look).await;
        }
    }

    /// The content, if it is another one than was read last. Blocks.
    pub(crate) fn changed(&self) -> Result<Option<Vec<u8>>, ReadProblem> {
        let mut seen = lock(&self.seen);
        let stamp = std::fs::metadata(&self.path)
            .map(|file| Stamp::of(&file))
            .ok();
        if stamp.is_some() && stamp == seen.stamp && seen.settled {
            return Ok(None);
        }
        let (stamp, bytes) = read(&self.path, self.max_bytes).inspect_err(|_| {
            seen.stamp = None;
            seen.content = None;
        })?;
        let now = Seen::new(stamp, &bytes);
        let known = now.content == seen.content;
        *seen = now;
        Ok((!known).then_some(bytes))
    }

    fn begin_look(self: &Arc<Self>, now: Instant) -> Option<Looking> {
        let mut look = lock(&self.look);
        if look.running || now < look.next {
            return None;
        }
        look.running = true;
        Some(Looking(Arc::clone(self)))
    }
}

impl ReadProblem {
    /// The problem and its cause in one line.
    pub(crate) fn told(&self) -> String {
        match self {
            Self::Unreadable(source) => format!("{self}: {source}"),
            Self::NotAFile | Self::TooLarge(_) => self.to_string(),
        }
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        let mut look = lock(&self.0.look);
        look.running = false;
        look.next = Instant::now() + INTERVAL;
    }
}

impl Seen {
    fn new(stamp: Stamp, bytes: &[u8]) -> Self {
        Self {
            stamp: Some(stamp),
            content: Some(Sha256::digest(bytes).into()),
            settled: stamp.is_settled(SystemTime::now()),
        }
    }
}

impl Stamp {
    fn of(file: &Metadata) -> Self {
        Self {
            file: (file.dev(), file.ino()),
            size: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }

    /// Whether the file has been left alone for long enough that its next change gets another time.
    fn is_settled(&self, now: SystemTime) -> bool {
        let latest = self.modified.max(self.changed).0;
        let settled = u64::try_from(latest)
            .ok()
            .and_then(|latest| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(latest)))
            .and_then(|latest| latest.checked_add(TICK));
        settled.is_some_and(|settled| settled < now)
    }
}

/// The whole file, and what it was while it was read.
fn read(path: &Path, max_bytes: u64) -> Result<(Stamp, Vec<u8>), ReadProblem> {
    // Asked first: opening a pipe waits for its other end.
    if !std::fs::metadata(path)?.is_file() {
        return Err(ReadProblem::NotAFile);
    }
    let file = File::open(path)?;
    let stamp = Stamp::of(&file.metadata()?);
    let mut bytes = Vec::new();
    file.take(max_bytes + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_bytes {
        return Err(ReadProblem::TooLarge(max_bytes));
    }
    Ok((stamp, bytes))
}

/// Whatever panicked under the lock left nothing half done.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> (tempfile::TempDir, Arc<WatchedFile>) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, "content").unwrap();
        let (file, content) = WatchedFile::open(&path, 100).unwrap();
        assert_eq!(content, b"content");
        (directory, Arc::new(file))
    }

    #[test]
    fn only_one_look_runs_and_the_next_comes_after_the_interval() {
        let (_directory, file) = file();
        let later = Instant::now() + INTERVAL;
        assert!(file.begin_look(later - INTERVAL).is_none());
        let look = file.begin_look(later);
        assert!(look.is_some());
        assert!(file.begin_look(later + INTERVAL * 10).is_none());
        drop(look);
        assert!(file.begin_look(later - INTERVAL).is_none());
        assert!(file.begin_look(later + INTERVAL * 10).is_some());
    }

    #[test]
    fn a_file_is_settled_once_its_times_are_past() {
        let (_directory, file) = file();
        let stamp = Stamp::of(&std::fs::metadata(file.path()).unwrap());
        let now = SystemTime::now();
        assert!(!stamp.is_settled(now));
        assert!(stamp.is_settled(now + TICK * 2));
        // Another machine's clock.
        assert!(!stamp.is_settled(now - TICK * 10));
    }

    #[test]
    fn a_change_comes_once() {
        let (_directory, file) = file();
        assert_eq!(file.changed().unwrap(), None);
        std::fs::write(file.path(), "another").unwrap();
        assert_eq!(file.changed().unwrap(), Some(b"another".to_vec()));
        assert_eq!(file.changed().unwrap(), None);
        std::fs::write(file.path(), "a".repeat(101)).unwrap();
        assert!(matches!(file.changed(), Err(ReadProblem::TooLarge(100))));
        // What was there before is news after a problem.
        std::fs::write(file.path(), "another").unwrap();
        assert_eq!(file.changed().unwrap(), Some(b"another".to_vec()));
    }
}
