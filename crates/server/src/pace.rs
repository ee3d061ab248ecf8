//! The least speed of a client: so many bytes in a window of time that was spent waiting for it.
//!
//! Only waiting counts. What the registry itself takes its time for is not the client's fault.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// How fast bytes must move.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Time spent waiting for the client over which its speed is averaged.
    pub(crate) window: Duration,
    /// Bytes that must move in such a time; 0 for no minimum.
    pub(crate) bytes: u64,
}

/// How long a client is still waited for.
#[derive(Debug)]
pub(crate) struct Patience {
    progress: Progress,
    /// Kept once it was needed: to set a timer's end later costs nothing, but a new one for each wait
    /// wakes the runtime each time.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    pub(crate) fn new(pace: Pace) -> Self {
        Self {
            progress: Progress::new(pace),
            timer: None,
        }
    }

    /// Bytes moved; the client is no longer waited for.
    pub(crate) fn moved(&mut self, bytes: usize) {
        self.progress.go_on();
        self.progress.moved += bytes as u64;
    }

    /// The client is waited for. Ready once it was too slow for a whole window.
    pub(crate) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(end) = self.progress.wait() {
            let new = || Box::pin(sleep_until(end));
            let timer = self.timer.get_or_insert_with(new);
            if timer.deadline() != end {
                timer.as_mut().reset(end);
            }
            ready!(timer.as_mut().poll(cx));
            if !self.progress.end_window() {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }
}

/// One client's speed.
#[derive(Debug)]
struct Progress {
    pace: Pace,
    /// Waited in this window, up to `since`.
    waited: Duration,
    /// Since when it is waited.
    since: Option<Instant>,
    /// Moved in this window.
    moved: u64,
}

impl Progress {
    fn new(pace: Pace) -> Self {
        Self {
            pace,
            waited: Duration::ZERO,
            since: None,
            moved: 0,
        }
    }

    /// The client is waited for. When the window will be over, if there is one.
    fn wait(&mut self) -> Option<Instant> {
        if self.pace.bytes == 0 {
            return None;
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        Some(since + self.pace.window.saturating_sub(self.waited))
    }

    /// The client is no longer waited for.
    fn go_on(&mut self) {
        if let Some(since) = self.since.take() {
            self.waited += since.elapsed();
        }
    }

    /// The window is over and the next begins. False: too few bytes moved.
    fn end_window(&mut self) -> bool {
        let enough = self.moved >= self.pace.bytes;
        *self = Self::new(self.pace);
        enough
    }
}
