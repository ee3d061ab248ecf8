//! The audit log: who did what, from where, and what decided that they might.
//!
//! One event is one line of JSON, in a file or as an event of the ordinary log. Lines for the file
//! go through a bounded queue to one thread that writes them. Where the file is slower than the
//! requests and the queue is full, changes and denials wait up to [`PATIENCE`] for a place, which
//! slows their requests down; reads do not wait. What finds no place is counted, and the number is
//! written to the log and, once it can be written to, to the file: nothing is lost silently.

mod event;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::{mpsc, oneshot};

pub(crate) use event::{Decided, Found, Trail};
pub use event::{Decision, Event};

/// Which events are recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Which {
    /// All of them.
    All,
    /// Requests to change something, and denials.
    #[default]
    Changes,
    /// Denials alone.
    Denials,
}

/// What is recorded where (`access.audit`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditSettings {
    /// Which events.
    pub which: Which,
    /// The file, which is made for its owner alone and only ever added to.
    pub path: Option<PathBuf>,
    /// Whether events are written to the log, under the target `audit`.
    pub log: bool,
}

/// Why there is no audit log.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the audit log {}", path.display())]
pub struct AuditError {
    /// The file.
    path: PathBuf,
    /// Why not.
    #[source]
    source: io::Error,
}

/// Records events.
pub struct Audit {
    which: Which,
    log: bool,
    file: Option<File>,
}

/// The way to the thread that writes.
struct File {
    queue: mpsc::Sender<Message>,
    shared: Arc<Shared>,
}

/// What the thread and those who record share.
struct Shared {
    path: PathBuf,
    /// Events that found no place in the queue and were not reported yet.
    lost: AtomicU64,
    /// Why nothing can be written at present.
    problem: ArcSwapOption<String>,
}

enum Message {
    Event(Box<Event>),
    Reopen,
    Finish(oneshot::Sender<()>),
}

/// Events that wait to be written.
const QUEUE: usize = 4096;
/// For how long a change or a denial waits for a place.
const PATIENCE: Duration = Duration::from_secs(1);
/// For how long the end of the process waits for what is in the queue.
const FINISH_PATIENCE: Duration = Duration::from_secs(5);

impl Audit {
    /// Opens the file and starts the thread that writes to it.
    ///
    /// # Errors
    /// A file that cannot be opened, and a system without a thread to give.
    pub fn start(settings: &AuditSettings) -> Result<Self, AuditError> {
        let file = match &settings.path {
            None => None,
            Some(path) => Some(File::start(path).map_err(|source| AuditError {
                path: path.clone(),
                source,
            })?),
        };
        Ok(Self {
            which: settings.which,
            log: settings.log,
            file,
        })
    }

    /// Records an event, if it is one of those that are recorded.
    pub async fn record(&self, event: Event) {
        if !self.which.has(&event) {
            return;
        }
        if self.log {
            event.log();
        }
        let Some(File { queue, shared }) = &self.file else {
            return;
        };
        let matters = Which::Changes.has(&event);
        let Err(full) = queue.try_send(Message::Event(Box::new(event))) else {
            return;
        };
        if let (true, mpsc::error::TrySendError::Full(message)) = (matters, full) {
            let sent = tokio::time::timeout(PATIENCE, queue.send(message)).await;
            if matches!(sent, Ok(Ok(()))) {
                return;
            }
        }
        shared.lose();
    }

    /// Records an event without waiting for a place in the queue, where nobody is there to wait.
    pub(crate) fn record_now(&self, event: Event) {
        if !self.which.has(&event) {
            return;
        }
        if self.log {
            event.log();
        }
        if let Some(File { queue, shared }) = &self.file
            && queue.try_send(Message::Event(Box::new(event))).is_err()
        {
            shared.lose();
        }
    }

    /// Opens the file anew, after everything that was recorded before: it may have been moved.
    pub async fn reopen(&self) {
        if let Some(file) = &self.file {
            // A thread that is gone has said why.
            let _gone = file.queue.send(Message::Reopen).await;
        }
    }

    /// Writes what was recorded and flushes it to the disk. The last thing that is done with it.
    pub async fn finish(&self) {
        let Some(file) = &self.file else { return };
        let (done, finished) = oneshot::channel();
        let finish = async {
            file.queue.send(Message::Finish(done)).await.ok()?;
            finished.await.ok()
        };
        if tokio::time::timeout(FINISH_PATIENCE, finish).await != Ok(Some(())) {
            tracing::error!("the end of the audit log could not be written");
        }
    }

    /// Why nothing can be written at present; for the health page.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let file = self.file.as_ref()?;
        file.shared.problem.load().as_deref().cloned()
    }
}

impl Shared {
    /// Counts an event that found no place.
    fn lose(&self) {
        if self.lost.fetch_add(1, Ordering::AcqRel) == 0 {
            tracing::error!(
                path = %self.path.display(),
                "the audit log cannot keep up: events are lost, their number follows"
            );
        }
    }
}

impl File {
    fn start(path: &Path) -> io::Result<Self> {
        let file = writer::open(path)?;
        let (queue, messages) = mpsc::channel(QUEUE);
        let shared = Arc::new(Shared {
            path: path.to_owned(),
            lost: AtomicU64::new(0),
            problem: ArcSwapOption::empty(),
        });
        let writer = writer::Writer::new(file, Arc::clone(&shared));
        let _thread: JoinHandle<()> = std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || writer.run(messages))?;
        Ok(Self { queue, shared })
    }
}

impl Which {
    fn has(self, event: &Event) -> bool {
        match (self, event.decision) {
            (Self::All, _) | (_, Decision::Deny) => true,
            (Self::Changes, Decision::Allow) => event.is_change(),
            (Self::Changes | Self::Denials, _) => false,
        }
    }
}

#[cfg(test)]
mod tests;
