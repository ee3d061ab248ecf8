//! The htpasswd file: read at start, and again when it has changed.
//!
//! Whether it has changed is looked up at most once a second, when somebody logs in, on a thread
//! that may block; meanwhile everybody else is checked against the users of before. They also stay
//! when the new file cannot be used: a slip of an editor locks nobody out, and lets nobody in.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::{ArcSwap, ArcSwapOption};
use sha2::{Digest as _, Sha256};

use crate::htpasswd::{LineProblem, Listing, Users};

/// Why a registry cannot start with this htpasswd file.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot use the htpasswd file {path} (make one with: htpasswd -Bbn USER PASSWORD > {path})",
    path = path.display()
)]
pub struct HtpasswdError {
    /// Where the file should be.
    path: PathBuf,
    /// What is wrong with it.
    #[source]
    problem: FileProblem,
}

/// Why an htpasswd file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileProblem {
    /// It cannot be opened or read.
    #[error("it cannot be read")]
    Unreadable(#[from] io::Error),
    /// It is a directory, a pipe or a device.
    #[error("it is not a regular file")]
    NotAFile,
    /// It is larger than any such file.
    #[error("it is larger than {MAX_BYTES} bytes")]
    TooLarge,
    /// Nobody could log in.
    #[error("it has no user with a bcrypt hash")]
    NoUser,
    /// It was replaced by one that ends in the middle of a line.
    #[error("it ends in the middle of a line")]
    CutShort,
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Randomness(#[from] getrandom::Error),
}

/// A file of users.
pub(crate) struct UserFile {
    path: PathBuf,
    users: ArcSwap<Users>,
    problem: ArcSwapOption<String>,
    /// Held for as long as a disk needs, so by nobody but the look that runs.
    seen: Mutex<Seen>,
    look: Mutex<Look>,
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
struct Looking(Arc<UserFile>);

/// Bytes of a file at most: two hundred thousand users.
const MAX_BYTES: u64 = 16 << 20;
/// Between two looks at the file.
const INTERVAL: Duration = Duration::from_secs(1);
/// The longest that a login waits for a look.
const PATIENCE: Duration = Duration::from_secs(1);
/// Two changes within one tick of the system's clock look alike; no clock ticks slower.
const TICK: Duration = Duration::from_secs(2);
/// Lines that are complained about one by one.
const MAX_COMPLAINTS: usize = 20;

impl HtpasswdError {
    pub(crate) fn new(path: &Path, problem: impl Into<FileProblem>) -> Self {
        Self {
            path: path.to_owned(),
            problem: problem.into(),
        }
    }
}

impl UserFile {
    /// Reads the file for the first time. Blocks.
    pub(crate) fn open(path: &Path) -> Result<Self, HtpasswdError> {
        let refused = |problem| HtpasswdError::new(path, problem);
        let (stamp, bytes) = read(path).map_err(refused)?;
        let listing = Listing::parse(&bytes);
        complain(path, &listing.problems);
        let users = Users::new(listing).ok_or_else(|| refused(FileProblem::NoUser))?;
        Ok(Self {
            path: path.to_owned(),
            users: ArcSwap::from_pointee(users),
            problem: ArcSwapOption::empty(),
            seen: Mutex::new(Seen {
                stamp: Some(stamp),
                content: Some(Sha256::digest(&bytes).into()),
                settled: stamp.is_settled(SystemTime::now()),
            }),
            look: Mutex::new(Look {
                running: false,
                next: Instant::now() + INTERVAL,
            }),
        })
    }

    /// The users, looked up anew where it is time to.
    pub(crate) async fn users(self: &Arc<Self>) -> Arc<Users> {
        if let Some(looking) = self.begin_look(Instant::now()) {
            let look = tokio::task::spawn_blocking(move || looking.0.refresh());
            // Whatever becomes of the look: there are users to go on with.
            let _outcome = tokio::time::timeout(PATIENCE, look).await;
        }
        self.users.load_full()
    }

    /// Why the file is not in force as it is now.
    pub(crate) fn problem(&self) -> Option<String> {
        self.problem.load().as_deref().cloned()
    }

    fn begin_look(self: &Arc<Self>, now: Instant) -> Option<Looking> {
        let mut look = lock(&self.look);
        if look.running || now < look.next {
            return None;
        }
        look.running = true;
        Some(Looking(Arc::clone(self)))
    }

    /// Reads the file if it has changed. Blocks.
    pub(crate) fn refresh(&self) {
        let mut seen = lock(&self.seen);
        let stamp = std::fs::metadata(&self.path)
            .map(|file| Stamp::of(&file))
            .ok();
        if stamp.is_some() && stamp == seen.stamp && seen.settled {
            return;
        }
        match self.reread(&mut seen) {
            Ok(()) => {}
            Err(problem) => self.report(&problem),
        }
    }

    fn reread(&self, seen: &mut Seen) -> Result<(), FileProblem> {
        let (stamp, bytes) = read(&self.path).inspect_err(|_| {
            seen.stamp = None;
            seen.content = None;
        })?;
        let content = Some(Sha256::digest(&bytes).into());
        let known = seen.content == content;
        *seen = Seen {
            stamp: Some(stamp),
            content,
            settled: stamp.is_settled(SystemTime::now()),
        };
        if known {
            return Ok(());
        }
        let listing = Listing::parse(&bytes);
        if listing.cut_short {
            return Err(FileProblem::CutShort);
        }
        complain(&self.path, &listing.problems);
        let unusable = listing.problems.len();
        let users = Users::new(listing).ok_or(FileProblem::NoUser)?;
        tracing::info!(
            path = %self.path.display(),
            users = users.count(),
            unusable,
            "the htpasswd file has changed and is in force"
        );
        self.users.store(Arc::new(users));
        self.problem.store(None);
        Ok(())
    }

    /// Logs a problem once, however often it is met.
    fn report(&self, problem: &FileProblem) {
        let text = match problem {
            FileProblem::Unreadable(source) => format!("{problem}: {source}"),
            problem => problem.to_string(),
        };
        if self.problem().as_ref() == Some(&text) {
            return;
        }
        tracing::error!(
            path = %self.path.display(),
            problem = text,
            "the htpasswd file has changed and cannot be used; the users of before stay"
        );
        self.problem.store(Some(Arc::new(text)));
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        let mut look = lock(&self.0.look);
        look.running = false;
        look.next = Instant::now() + INTERVAL;
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
fn read(path: &Path) -> Result<(Stamp, Vec<u8>), FileProblem> {
    // Asked first: opening a pipe waits for its other end.
    if !std::fs::metadata(path)?.is_file() {
        return Err(FileProblem::NotAFile);
    }
    let file = File::open(path)?;
    let stamp = Stamp::of(&file.metadata()?);
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(FileProblem::TooLarge);
    }
    Ok((stamp, bytes))
}

/// Warns of lines that cannot be used; of none it shows more than the user's name.
fn complain(path: &Path, problems: &[LineProblem]) {
    let path = path.display();
    for problem in problems.iter().take(MAX_COMPLAINTS) {
        let LineProblem { line, user, kind } = problem;
        tracing::warn!(%path, line, user, "a line of the htpasswd file is not used: {kind}");
    }
    if let Some(more @ 1..) = problems.len().checked_sub(MAX_COMPLAINTS) {
        tracing::warn!(%path, "{more} more lines of the htpasswd file are not used");
    }
}

/// Whatever panicked under the lock left nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
