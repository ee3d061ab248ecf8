//! The htpasswd file: read at start, and again when it has changed.
//!
//! That is looked up when somebody logs in (see `watched.rs`). The users of before stay when the new
//! file cannot be used: a slip of an editor locks nobody out, and lets nobody in.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};

use crate::htpasswd::{LineProblem, Listing, Users};
use crate::watched::{ReadProblem, WatchedFile};

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
    file: Arc<WatchedFile>,
    users: ArcSwap<Users>,
    problem: ArcSwapOption<String>,
}

/// Bytes of a file at most: two hundred thousand users.
const MAX_BYTES: u64 = 16 << 20;
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

impl From<ReadProblem> for FileProblem {
    fn from(problem: ReadProblem) -> Self {
        match problem {
            ReadProblem::Unreadable(source) => Self::Unreadable(source),
            ReadProblem::NotAFile => Self::NotAFile,
            ReadProblem::TooLarge(_) => Self::TooLarge,
        }
    }
}

impl UserFile {
    /// Reads the file for the first time. Blocks.
    pub(crate) fn open(path: &Path) -> Result<Self, HtpasswdError> {
        let (file, bytes) = WatchedFile::open(path, MAX_BYTES)
            .map_err(|problem| HtpasswdError::new(path, problem))?;
        let listing = Listing::parse(&bytes);
        complain(path, &listing.problems);
        let users =
            Users::new(listing).ok_or_else(|| HtpasswdError::new(path, FileProblem::NoUser))?;
        Ok(Self {
            file: Arc::new(file),
            users: ArcSwap::from_pointee(users),
            problem: ArcSwapOption::empty(),
        })
    }

    /// The users, looked up anew where it is time to.
    pub(crate) async fn users(self: &Arc<Self>) -> Arc<Users> {
        let this = Arc::clone(self);
        self.file.look(move || this.refresh()).await;
        self.users.load_full()
    }

    /// Why the file is not in force as it is now.
    pub(crate) fn problem(&self) -> Option<String> {
        self.problem.load().as_deref().cloned()
    }

    /// Reads the file if it has changed. Blocks.
    pub(crate) fn refresh(&self) {
        if let Err(problem) = self.reread() {
            self.report(&problem);
        }
    }

    fn reread(&self) -> Result<(), FileProblem> {
        let Some(bytes) = self.file.changed()? else {
            return Ok(());
        };
        let listing = Listing::parse(&bytes);
        if listing.cut_short {
            return Err(FileProblem::CutShort);
        }
        let path = self.file.path();
        complain(path, &listing.problems);
        let unusable = listing.problems.len();
        let users = Users::new(listing).ok_or(FileProblem::NoUser)?;
        tracing::info!(
            path = %path.display(),
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
            path = %self.file.path().display(),
            problem = text,
            "the htpasswd file has changed and cannot be used; the users of before stay"
        );
        self.problem.store(Some(Arc::new(text)));
    }
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

#[cfg(test)]
mod tests;
