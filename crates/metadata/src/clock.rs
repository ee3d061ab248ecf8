//! Time as a value: leases and horizons are tested without waiting.
//!
//! A clock decides only when rubbish goes and what a row says about its age, never whether a
//! reference is safe.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A point in time: microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Later than every other: something that never ends.
    pub const MAX: Timestamp = Timestamp(i64::MAX);

    /// From microseconds since the epoch.
    pub const fn from_micros(micros: i64) -> Timestamp {
        Timestamp(micros)
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// This much later, at most [`Timestamp::MAX`].
    #[must_use]
    pub fn plus(self, duration: Duration) -> Timestamp {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Timestamp(self.0.saturating_add(micros))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Timestamp {
        match time.duration_since(UNIX_EPOCH) {
            Ok(since) => Timestamp::default().plus(since),
            Err(before) => {
                let micros = i64::try_from(before.duration().as_micros()).unwrap_or(i64::MAX);
                Timestamp(-micros)
            }
        }
    }
}

impl From<Timestamp> for SystemTime {
    fn from(timestamp: Timestamp) -> SystemTime {
        let distance = Duration::from_micros(timestamp.0.unsigned_abs());
        let time = if timestamp.0 < 0 {
            UNIX_EPOCH.checked_sub(distance)
        } else {
            UNIX_EPOCH.checked_add(distance)
        };
        time.unwrap_or(UNIX_EPOCH)
    }
}

/// Where the current time comes from.
pub trait Clock: Send + Sync {
    /// The current time. May step back; rows then keep the older, longer lease.
    fn now(&self) -> Timestamp;

    /// Time that has passed since some point in the life of this process. Nobody can set it.
    fn running(&self) -> Duration;
}

/// The operating system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }

    fn running(&self) -> Duration {
        static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
        BEGIN.elapsed()
    }
}

/// A clock that moves only when it is told to.
#[derive(Debug)]
pub struct ManualClock {
    micros: AtomicI64,
    running_micros: AtomicI64,
}

impl ManualClock {
    /// A clock that stands at `start`.
    pub fn new(start: Timestamp) -> ManualClock {
        ManualClock {
            micros: AtomicI64::new(start.0),
            running_micros: AtomicI64::new(0),
        }
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        self.micros.fetch_add(micros, Ordering::SeqCst);
        self.running_micros.fetch_add(micros, Ordering::SeqCst);
    }

    /// Sets the time of day, as somebody who corrects a clock; no time passes.
    pub fn set(&self, to: Timestamp) {
        self.micros.store(to.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.micros.load(Ordering::SeqCst))
    }

    fn running(&self) -> Duration {
        let micros = self.running_micros.load(Ordering::SeqCst);
        Duration::from_micros(micros.unsigned_abs())
    }
}

/// How long what nobody refers to is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Horizons {
    /// What was pushed, mounted or lost its last reference stays at least this long. Default 24 h.
    pub lease: Duration,
    /// What was deleted can be brought back for this long. Default 7 days.
    pub undo: Duration,
}

impl Default for Horizons {
    fn default() -> Horizons {
        const HOUR: Duration = Duration::from_secs(60 * 60);
        Horizons {
            lease: 24 * HOUR,
            undo: 7 * 24 * HOUR,
        }
    }
}
