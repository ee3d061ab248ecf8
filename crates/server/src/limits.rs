//! Bounds of connections and requests, and the time that each step may take.

use std::time::Duration;

use crate::pace::Pace;

/// What one registry takes at most.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Open connections; `None` derives the number from `open_files`.
    pub max_connections: Option<usize>,
    /// Files that this process may have open.
    pub open_files: u64,
    /// Open connections of one address; `None` for no bound.
    pub max_connections_per_address: Option<usize>,
    /// Concurrent requests on one HTTP/2 connection.
    pub max_streams: u32,
    /// For the TLS handshake.
    pub tls_handshake_timeout: Duration,
    /// From the first byte of a request to the end of its headers.
    pub header_timeout: Duration,
    /// For a connection between two requests.
    pub idle_timeout: Duration,
    /// The window over which the speed of a body is averaged.
    pub progress_window: Duration,
    /// Bytes a second that a body must make over the window; 0 for no minimum.
    pub minimum_rate: u64,
    /// Header lines of one request.
    pub max_headers: usize,
    /// Bytes of one request's headers, its first line included.
    pub max_header_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: None,
            open_files: 1024,
            max_connections_per_address: None,
            max_streams: 128,
            tls_handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(75),
            progress_window: Duration::from_secs(60),
            minimum_rate: 1024,
            max_headers: 100,
            max_header_bytes: 32 << 10,
        }
    }
}

/// Files that the process keeps for itself: databases, logs, sockets.
const FILES_KEPT: u64 = 64;

impl Limits {
    /// Connections at a time. Each may have two files open beside its socket: an object, and while
    /// that is flushed its folder.
    pub(crate) fn connections(&self) -> usize {
        self.max_connections.unwrap_or_else(|| {
            let kept = FILES_KEPT.min(self.open_files / 2);
            let derived = usize::try_from((self.open_files - kept) / 3).unwrap_or(usize::MAX);
            derived.clamp(1, CONNECTIONS_MAX)
        })
    }

    /// How fast bodies must move, in either direction.
    pub(crate) fn pace(&self) -> Pace {
        Pace {
            window: self.progress_window,
            bytes: self.bytes_a_window(),
        }
    }

    fn bytes_a_window(&self) -> u64 {
        let seconds = self.progress_window.as_secs_f64();
        // Both are bounded by the configuration: the product is a whole number of bytes.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a rate of at most 2^40 over at most some hours"
        )]
        let bytes = (self.minimum_rate as f64 * seconds) as u64;
        bytes
    }

    /// Bytes of a request's first line at most; the rest is left to headers.
    pub(crate) fn first_line_bytes(&self) -> usize {
        self.max_header_bytes / 4 * 3
    }
}

/// As many as a semaphore can count, and more than any machine holds.
const CONNECTIONS_MAX: usize = 1 << 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_files() {
        for (open_files, expected) in [(64, 10), (1024, 320), (1 << 20, 349_504), (0, 1)] {
            let limits = Limits {
                open_files,
                ..Limits::default()
            };
            assert_eq!(limits.connections(), expected, "{open_files}");
        }
        let limits = Limits {
            max_connections: Some(7),
            ..Limits::default()
        };
        assert_eq!(limits.connections(), 7);
    }
}
