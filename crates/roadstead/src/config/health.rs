//! `health`: what is watched beside the process itself.

use std::time::Duration;

use super::cursor::Cursor;

/// The `health` section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Health {
    /// The periodic look at the store; `None` where it is off, which is the default.
    pub(crate) storage: Option<StorageCheck>,
}

/// `health.storagedriver`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StorageCheck {
    /// Default: 10 s; above zero.
    pub(crate) interval: Duration,
    /// Failures in a row before the registry counts as unhealthy. Default: 1; from 1, and
    /// `distribution`'s 0 and below mean 1.
    pub(crate) threshold: u32,
}

const DEFAULT_INTERVAL: Duration = Duration::from_secs(10);

pub(crate) fn read(root: &Cursor<'_>) -> Health {
    let section = root.section("health").section("storagedriver");
    let threshold = section.integer("threshold", 0, i64::from(i32::MIN)..=i64::from(i32::MAX));
    let check = StorageCheck {
        interval: section.period("interval", DEFAULT_INTERVAL),
        threshold: u32::try_from(threshold).unwrap_or(1).max(1),
    };
    Health {
        storage: section.flag("enabled", false).then_some(check),
    }
}
