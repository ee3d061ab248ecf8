//! The least speed of a client: so many bytes in a window of time that was spent waiting for it.
//!
//! Only waiting counts. What the registry itself takes its time for is not the client's fault.

use std::time::Duration;

use tokio::time::Instant;

/// How fast bytes must move.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Time spent waiting for the client over which its speed is averaged.
    pub(crate) window: Duration,
    /// Bytes that must move in such a time; 0 for no minimum.
    pub(crate) bytes: u64,
}

/// One client's speed.
#[derive(Debug)]
pub(crate) struct Progress {
    pace: Pace,
    /// Waited in this window, up to `since`.
    waited: Duration,
    /// Since when it is waited.
    since: Option<Instant>,
    /// Moved in this window.
    moved: u64,
}

impl Progress {
    pub(crate) fn new(pace: Pace) -> Self {
        Self {
            pace,
            waited: Duration::ZERO,
            since: None,
            moved: 0,
        }
    }

    /// The client is waited for. When the window will be over, if there is one.
    pub(crate) fn wait(&mut self) -> Option<Instant> {
        if self.pace.bytes == 0 {
            return None;
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        Some(since + self.pace.window.saturating_sub(self.waited))
    }

    /// The client is no longer waited for.
    pub(crate) fn go_on(&mut self) {
        if let Some(since) = self.since.take() {
            self.waited += since.elapsed();
        }
    }

    pub(crate) fn moved(&mut self, bytes: usize) {
        self.moved += bytes as u64;
    }

    /// The window is over and the next begins. False: too few bytes moved.
    pub(crate) fn end_window(&mut self) -> bool {
        let enough = self.moved >= self.pace.bytes;
        *self = Self::new(self.pace);
        enough
    }
}
