//! The threads that serve connections: one for each core, each with a runtime of its own.
//!
//! A connection stays with the thread that it was given to. Where threads take work from each
//! other instead, each small request that comes in wakes another thread to look whether there is
//! something to take, which costs more than what it takes.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

/// All of them; they end when this is dropped.
pub(crate) struct Workers {
    workers: Vec<Worker>,
    stop: CancellationToken,
}

/// One thread that serves.
pub(crate) struct Worker {
    runtime: Handle,
    connections: Arc<AtomicUsize>,
}

/// A connection of a worker, as long as it lives.
pub(crate) struct Busy(Arc<AtomicUsize>);

impl Workers {
    /// Starts as many as there are cores for this process.
    ///
    /// # Errors
    /// Those of the system, where it has no thread or file left.
    pub(crate) fn start() -> io::Result<Self> {
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        let mut started = Self {
            workers: Vec::with_capacity(count),
            stop: CancellationToken::new(),
        };
        for number in 0..count {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            started.workers.push(Worker {
                runtime: runtime.handle().clone(),
                connections: Arc::default(),
            });
            let stop = started.stop.clone();
            std::thread::Builder::new()
                .name(format!("serve-{number}"))
                .spawn(move || {
                    runtime.block_on(stop.cancelled());
                    // Nothing waits for a thread that may hang on a broken disk.
                    runtime.shutdown_background();
                })?;
        }
        Ok(started)
    }

    /// The one with the fewest connections.
    pub(crate) fn least_busy(&self) -> &Worker {
        let least = self
            .workers
            .iter()
            .min_by_key(|worker| worker.connections());
        // There is no machine without a core.
        least.unwrap_or(&self.workers[0])
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Worker {
    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Counts a connection for as long as what is returned lives.
    pub(crate) fn busy(&self) -> Busy {
        self.connections.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(&self.connections))
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_go_where_the_fewest_are() {
        let workers = Workers::start().unwrap();
        let count = workers.workers.len();
        let held: Vec<Busy> = (0..3 * count)
            .map(|_| workers.least_busy().busy())
            .collect();
        let shares: Vec<usize> = workers.workers.iter().map(Worker::connections).collect();
        assert_eq!(shares, vec![3; count]);
        drop(held);
        assert!(
            workers
                .workers
                .iter()
                .all(|worker| worker.connections() == 0)
        );
    }

    #[tokio::test]
    async fn a_worker_runs_what_it_is_given_on_its_own_thread() {
        let workers = Workers::start().unwrap();
        let name = || std::thread::current().name().map(str::to_owned);
        let there = workers.least_busy().runtime().spawn(async move { name() });
        assert_eq!(there.await.unwrap().as_deref(), Some("serve-0"));
    }
}
