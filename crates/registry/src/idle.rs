//! How long uploads have been idle, on a machine whose wall clock may be set while they are open.
//!
//! A session's end is stored as a time of day, since it outlives the process; but a clock that is set
//! makes a session of a minute ago look years old. So time is told twice: by the wall clock, and by
//! what it said when this process began and what has run since. Ends are stored by the later of the
//! two and judged by the earlier: what this process has seen move is never idle for less than the
//! age. What an earlier process left may bear the time of a clock that was wrong, which nobody can
//! tell; it is left alone for a while after the start, in which whoever goes on with it renews it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use roadstead_metadata::{Clock, Timestamp};

/// The clock of idle uploads.
pub(crate) struct IdleClock {
    clock: Arc<dyn Clock>,
    /// When this process began.
    begun: Timestamp,
    begun_running: Duration,
    told: AtomicBool,
}

/// After a start nothing is ended for so long, or for the purging age where that is shorter.
const GRACE: Duration = Duration::from_secs(60 * 60);

impl IdleClock {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            begun: clock.now(),
            begun_running: clock.running(),
            told: AtomicBool::new(false),
            clock,
        }
    }

    /// From when the time to a session's end counts that moves now.
    pub(crate) fn moves(&self) -> Timestamp {
        self.clock.now().max(self.steady())
    }

    /// What a session's end must have passed.
    pub(crate) fn judges(&self) -> Timestamp {
        self.clock.now().min(self.steady())
    }

    /// Whether the process is so young that sessions are left alone.
    pub(crate) fn is_early(&self, age: Duration) -> bool {
        self.ran() < age.min(GRACE)
    }

    /// Says once that sessions are left alone.
    pub(crate) fn tell_early(&self, sessions: usize) {
        if sessions > 0 && !self.told.swap(true, Ordering::Relaxed) {
            tracing::info!(
                sessions,
                "upload sessions look expired, they are kept for a while after the start"
            );
        }
    }

    fn ran(&self) -> Duration {
        self.clock.running().saturating_sub(self.begun_running)
    }

    /// The time of day if nobody had set the clock since the start.
    fn steady(&self) -> Timestamp {
        self.begun.plus(self.ran())
    }
}
