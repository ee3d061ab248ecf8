//! What the process asks of the system: room for files, private new files, and its signals.

use std::io;

use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, umask};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

/// More open files than this are not asked for: some systems pay for the limit itself.
const MOST_FILES: u64 = 1 << 20;

/// Raises the limit on open files to its hard limit, and returns what is allowed now.
pub(crate) fn raise_open_files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let soft = limit.current.unwrap_or(MOST_FILES);
    let wanted = limit.maximum.unwrap_or(MOST_FILES).min(MOST_FILES);
    if soft >= wanted {
        return soft;
    }
    let raised = Rlimit {
        current: Some(wanted),
        maximum: limit.maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => wanted,
        Err(error) => {
            tracing::debug!(%error, soft, "the limit on open files stays");
            soft
        }
    }
}

/// New files are for this user, and to be read by its group.
pub(crate) fn keep_files_private() {
    umask(Mode::from_raw_mode(0o027));
}

/// Names this run of the kernel. Where it cannot be known, each start counts as another run: then
/// uploads go on from what was flushed.
pub(crate) fn boot_id() -> String {
    match std::fs::read_to_string("/proc/sys/kernel/random/boot_id") {
        Ok(text) => text.trim().to_owned(),
        Err(error) => {
            tracing::debug!(%error, "the kernel does not tell its boot id");
            format!("unknown-{}", uuid::Uuid::new_v4())
        }
    }
}

/// Its number on every architecture that Linux has but MIPS.
const SIGXFSZ: i32 = rustix::process::Signal::XFSZ.as_raw();

/// The signals that mean something to a registry.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    /// Held, so that a file which may not become larger (`ulimit -f`) is an error and not the end.
    _file_size: Signal,
}

impl Signals {
    /// Takes them over; from here on none of them ends the process by itself.
    ///
    /// # Errors
    /// The system refuses a handler.
    pub(crate) fn take_over() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            _file_size: signal(SignalKind::from_raw(SIGXFSZ))?,
        })
    }

    /// Waits for the signal to stop, and returns its name. A hang-up is not one: `hangup` is told.
    ///
    /// # Cancel safety
    /// No signal is lost.
    pub(crate) async fn stop(&mut self, hangup: &Notify) -> &'static str {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.hangup.recv() => hangup.notify_one(),
            }
        }
    }
}
