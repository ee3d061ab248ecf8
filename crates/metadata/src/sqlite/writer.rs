//! The one writer: a thread that commits many waiting changes with one flush.
//!
//! It takes what waits in the queue, opens a transaction, runs each change in a savepoint of its
//! own (one that is refused rolls back alone), commits, and only then answers all of them. So a
//! flush of the log is shared by whoever waits for it, and nobody is told of a change that a crash
//! could take back. When a commit or a write fails for a reason that leaves the log in doubt,
//! nobody of the batch is acknowledged, [`Writer::failed`] resolves and nothing is written again.

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use roadstead_failpoint::failpoint;
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

use roadstead_oci::{Digest, RepositoryName, Tag};

use crate::clock::{Clock, Horizons, Timestamp};
use crate::error::MetadataError;

use super::cache::{Cache, Touched};
use super::checkpoint::Checkpoint;
use super::error::{commit_ends_the_process, ends_the_process};
use super::log_mark::LogMark;
use super::statement::change;

/// A transaction's surroundings, as a change sees them.
pub(super) struct Transaction<'c> {
    pub(super) connection: &'c Connection,
    /// The time of the change; never steps back within a process.
    pub(super) now: Timestamp,
    pub(super) horizons: Horizons,
    cache: &'c Cache,
    touched: &'c RefCell<Touched>,
}

impl Transaction<'_> {
    /// What is read by this tag changes.
    pub(super) fn touch_tag(&self, repository: &RepositoryName, tag: &Tag) {
        let mut touched = self.touched.borrow_mut();
        self.cache.epochs().touch_tag(&mut touched, repository, tag);
    }

    /// What is read by this digest, in whatever repository, changes.
    pub(super) fn touch_digest(&self, digest: &Digest) {
        let mut touched = self.touched.borrow_mut();
        self.cache.epochs().touch_digest(&mut touched, digest);
    }

    /// The end of a lease that starts now, in microseconds.
    pub(super) fn lease(&self) -> i64 {
        self.now.plus(self.horizons.lease).as_micros()
    }

    /// The end of the undo horizon of what is deleted now, in microseconds.
    pub(super) fn undo(&self) -> i64 {
        self.now.plus(self.horizons.undo).as_micros()
    }

    pub(super) fn now(&self) -> i64 {
        self.now.as_micros()
    }
}

/// The way to the writer thread. Dropping it ends the thread once the queue is empty.
pub(super) struct Writer {
    queue: Option<SyncSender<Job>>,
    room: Arc<Semaphore>,
    failed: watch::Receiver<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread. `log` is the write-ahead log's file.
    pub(super) fn start(
        connection: Connection,
        mark: LogMark,
        log: PathBuf,
        horizons: Horizons,
        clock: Arc<dyn Clock>,
        cache: Arc<Cache>,
    ) -> Result<Writer, MetadataError> {
        let (queue, jobs) = sync_channel(QUEUE_MAX);
        let (signal, failed) = watch::channel(false);
        let mut work = Work {
            _mark: mark,
            connection,
            horizons,
            clock,
            cache,
            last: Timestamp::default(),
            checkpoint: Checkpoint::of(log.clone()),
        };
        let thread = thread::Builder::new()
            .name("metadata-writer".to_owned())
            .spawn(move || {
                // Also sent when the thread ends by a panic.
                let signal = FailureSignal(Some(signal));
                match work.run(&jobs) {
                    Ok(()) => signal.disarm(),
                    Err(error) => tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "the metadata database failed, nothing more is written"
                    ),
                }
            })
            .map_err(|source| MetadataError::Io {
                action: "start a thread for",
                path: log,
                source: Arc::new(source),
            })?;
        let room = Arc::new(Semaphore::new(QUEUE_MAX));
        Ok(Writer {
            queue: Some(queue),
            room,
            failed,
            thread: Some(thread),
        })
    }

    /// Runs a change and returns what it returned once it is durable. An error rolls it back.
    ///
    /// # Cancel safety
    /// Dropped while it waits for room, nothing happens; dropped later, the change happens whole or
    /// is refused whole, and nobody is told.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Transaction<'_>) -> Result<T, MetadataError> + Send + 'static,
    ) -> Result<T, MetadataError> {
        let room = Arc::clone(&self.room).acquire_owned().await;
        let room = room.map_err(|_| MetadataError::Stopped)?;
        let (sender, answer) = oneshot::channel();
        let job = Job {
            operation: Box::new(Operation { change, sender }),
            room,
        };
        let queue = self.queue.as_ref().ok_or(MetadataError::Stopped)?;
        // A permit is a place in the queue, so only a stopped writer refuses.
        queue.try_send(job).map_err(|_| MetadataError::Stopped)?;
        answer.await.map_err(|_| MetadataError::Stopped)?
    }

    /// Changes that were asked for and not yet run.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        QUEUE_MAX - self.room.available_permits()
    }

    /// Returns when the writer has failed, else never.
    pub(super) async fn failed(&self) {
        let mut failed = self.failed.clone();
        if failed.wait_for(|failed| *failed).await.is_err() {
            // The writer ended in good order.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the metadata writer panicked");
        }
    }
}

/// What stands in the queue.
struct Job {
    operation: Box<dyn Queued>,
    room: OwnedSemaphorePermit,
}

/// A change of any kind with the way back to whoever asked for it.
trait Queued: Send {
    fn run(self: Box<Self>, transaction: &Transaction<'_>) -> Ran;
    /// Answers without running.
    fn refuse(self: Box<Self>, error: MetadataError);
}

/// A change that was run and not yet answered.
struct Ran {
    refused: Option<MetadataError>,
    answer: Answer,
}

/// Tells the outcome; what is given is a failure of the whole batch.
type Answer = Box<dyn FnOnce(Option<&MetadataError>) + Send>;

struct Operation<T, F> {
    change: F,
    sender: oneshot::Sender<Result<T, MetadataError>>,
}

impl<T, F> Queued for Operation<T, F>
where
    T: Send + 'static,
    F: FnOnce(&Transaction<'_>) -> Result<T, MetadataError> + Send + 'static,
{
    fn run(self: Box<Self>, transaction: &Transaction<'_>) -> Ran {
        let Operation { change, sender } = *self;
        let result = change(transaction);
        let refused = result.as_ref().err().cloned();
        let answer = move |failure: Option<&MetadataError>| {
            let result = match failure {
                Some(failure) if result.is_ok() => Err(failure.clone()),
                _ => result,
            };
            // The caller may have gone; the change stands.
            drop(sender.send(result));
        };
        Ran {
            refused,
            answer: Box::new(answer),
        }
    }

    fn refuse(self: Box<Self>, error: MetadataError) {
        // The caller may have gone.
        drop(self.sender.send(Err(error)));
    }
}

/// Tells everybody that the writer has failed, unless it is disarmed.
struct FailureSignal(Option<watch::Sender<bool>>);

impl FailureSignal {
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for FailureSignal {
    fn drop(&mut self) {
        if let Some(signal) = self.0.take() {
            signal.send_replace(true);
        }
    }
}

/// The thread's own state.
struct Work {
    /// Stands before the connection, and so goes first.
    _mark: LogMark,
    connection: Connection,
    horizons: Horizons,
    clock: Arc<dyn Clock>,
    cache: Arc<Cache>,
    last: Timestamp,
    checkpoint: Checkpoint,
}

/// Why a batch was rolled back, and whether the process must end.
struct Broken {
    error: MetadataError,
    fatal: bool,
}

impl Work {
    /// Until the queue is closed; an error ends the process.
    fn run(&mut self, jobs: &Receiver<Job>) -> Result<(), MetadataError> {
        loop {
            let first = match jobs.recv_timeout(IDLE) {
                Ok(job) => job,
                Err(RecvTimeoutError::Timeout) => {
                    self.checkpoint.when_idle(&self.connection)?;
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let mut batch = vec![first];
            batch.extend(jobs.try_iter().take(BATCH_MAX - 1));
            self.commit(batch)?;
            self.checkpoint.after_batch(&self.connection)?;
        }
        self.checkpoint.when_idle(&self.connection)
    }

    /// One transaction. An error has been told to the whole batch and ends the process.
    fn commit(&mut self, batch: Vec<Job>) -> Result<(), MetadataError> {
        let mut answers = Vec::with_capacity(batch.len());
        let outcome = self.run_batch(batch, &mut answers);
        if outcome.is_err()
            && !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            // The next BEGIN finds it too, and refuses its batch.
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a rollback failed"
            );
        }
        let failure = outcome.as_ref().err().map(|broken| &broken.error);
        for answer in answers {
            answer(failure);
        }
        match outcome {
            Err(Broken { error, fatal: true }) => Err(error),
            _ => Ok(()),
        }
    }

    fn run_batch(&mut self, batch: Vec<Job>, answers: &mut Vec<Answer>) -> Result<(), Broken> {
        self.last = self.last.max(self.clock.now());
        let connection = &self.connection;
        let touched = RefCell::default();
        let transaction = Transaction {
            connection,
            now: self.last,
            horizons: self.horizons,
            cache: &self.cache,
            touched: &touched,
        };
        failpoint!("metadata::writer::taken");
        let mut outcome = execute(connection, "BEGIN IMMEDIATE");
        for Job { operation, room } in batch {
            drop(room);
            match &outcome {
                Ok(()) => outcome = run_one(&transaction, operation, answers),
                Err(error) => operation.refuse(error.clone()),
            }
            failpoint!("metadata::writer::changed");
        }
        outcome.map_err(|error| Broken {
            fatal: ends_the_process(&error),
            error,
        })?;
        failpoint!("metadata::writer::commit");
        let mut touched = touched.into_inner();
        self.cache.epochs().committing(&mut touched);
        let committed = execute(connection, "COMMIT");
        self.cache.epochs().committed(&touched);
        committed.map_err(|error| Broken {
            fatal: commit_ends_the_process(&error),
            error,
        })?;
        failpoint!("metadata::writer::committed");
        Ok(())
    }
}

/// Runs a change in a savepoint. An error is one of the whole transaction.
fn run_one(
    transaction: &Transaction<'_>,
    operation: Box<dyn Queued>,
    answers: &mut Vec<Answer>,
) -> Result<(), MetadataError> {
    let connection = transaction.connection;
    if let Err(error) = execute(connection, "SAVEPOINT change") {
        operation.refuse(error.clone());
        return Err(error);
    }
    let Ran { refused, answer } = operation.run(transaction);
    answers.push(answer);
    let Some(refused) = refused else {
        return execute(connection, "RELEASE change");
    };
    if connection.is_autocommit() || ends_the_process(&refused) {
        // The engine took the whole transaction back, or what it holds is in doubt.
        return Err(refused);
    }
    execute(connection, "ROLLBACK TO change")?;
    execute(connection, "RELEASE change")
}

fn execute(connection: &Connection, sql: &str) -> Result<(), MetadataError> {
    change(connection, sql, []).map(drop)
}

/// Changes that wait; more make their callers wait for room.
const QUEUE_MAX: usize = 1_024;
/// Changes that share one commit.
const BATCH_MAX: usize = 256;
/// Without work for so long, the log is written back and cut to nothing.
const IDLE: Duration = Duration::from_secs(1);
