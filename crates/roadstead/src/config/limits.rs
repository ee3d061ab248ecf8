//! `http.limits`: bounds on connections, headers and bodies, and the time that each step of a
//! request may take. Every bound has a default that suits a registry, so the section is rarely
//! written.

use std::time::Duration;

use super::cursor::Cursor;

/// The `http.limits` section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Open connections; `None` derives the number from the limit on open files. Default: derived.
    pub(crate) max_connections: Option<usize>,
    /// Open connections of one address; `None` for no bound. Default: none.
    pub(crate) max_connections_per_address: Option<usize>,
    /// Concurrent requests on one HTTP/2 connection. Default: 128; 1 to 10,000.
    pub(crate) max_streams: u32,
    /// For the TLS handshake. Default: 10 s.
    pub(crate) tls_handshake_timeout: Duration,
    /// From the first byte of a request to the end of its headers. Default: 30 s.
    pub(crate) header_timeout: Duration,
    /// For a connection between two requests. Default: 75 s.
    pub(crate) idle_timeout: Duration,
    /// The window over which the speed of a body is averaged. Default: 60 s.
    pub(crate) progress_window: Duration,
    /// Bytes a second that a body must make over the window. Default: 1,024; 0 for no minimum.
    pub(crate) minimum_rate: u64,
    /// Header lines of one request. Default: 100; 10 to 1,000.
    pub(crate) max_headers: usize,
    /// Bytes of one request's headers. Default: 32 KiB; 8 KiB to 1 MiB.
    pub(crate) max_header_bytes: usize,
    /// Bytes of one manifest. Default: 4 MiB, which the metadata database can hold at most; from
    /// 64 KiB.
    pub(crate) max_manifest_bytes: usize,
    /// Upload sessions that one principal may have open. Default: 10,000; from 1.
    pub(crate) max_uploads_per_principal: u64,
}

pub(crate) fn read(section: &Cursor<'_>) -> Limits {
    let seconds = Duration::from_secs;
    let count = |name, default, least, most| size(section.integer(name, default, least..=most));
    Limits {
        max_connections: optional(count("maxconnections", 0, 0, 1_000_000)),
        max_connections_per_address: optional(count("maxconnectionsperaddress", 0, 0, 1_000_000)),
        max_streams: u32::try_from(section.integer("maxstreams", 128, 1..=10_000))
            .unwrap_or(u32::MAX),
        tls_handshake_timeout: section.period("tlshandshaketimeout", seconds(10)),
        header_timeout: section.period("headertimeout", seconds(30)),
        idle_timeout: section.period("idletimeout", seconds(75)),
        progress_window: section.period("progresswindow", seconds(60)),
        minimum_rate: section
            .integer("minimumrate", 1024, 0..=1 << 40)
            .unsigned_abs(),
        max_headers: count("maxheaders", 100, 10, 1000),
        max_header_bytes: count("maxheaderbytes", 32 << 10, 8 << 10, 1 << 20),
        max_manifest_bytes: count("maxmanifestbytes", 4 << 20, 64 << 10, 4 << 20),
        max_uploads_per_principal: section
            .integer("maxuploadsperprincipal", 10_000, 1..=1 << 40)
            .unsigned_abs(),
    }
}

fn optional(number: usize) -> Option<usize> {
    (number > 0).then_some(number)
}

/// The bounds have already kept the number positive and small.
fn size(number: i64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
