//! The harness: a small product whose user is the writer of a test.
//!
//! ```ignore
//! let registry = Registry::start();                       // the real binary, own directory, port 0
//! let image = Image::new("seed");                         // config, layers, manifest; all from the seed
//! registry.push_image("team/app", "v1", &image);
//! registry.get("/v2/team/app/tags/list").send().expect(200);
//! ```
//!
//! - [`Registry`] is the process: `start`, `configured`, `kill_9`, `terminate`, `restart`; dropped,
//!   it is killed, and where the test failed its log is printed.
//! - [`Request`] and [`Answer`] are one HTTP/1.1 exchange on a connection of its own. Every answer
//!   is checked on arrival for what holds always: no 5xx, JSON errors of the known codes under
//!   `/v2/`, `X-Request-Id`.
//! - [`Http2`] is a connection of a well-behaved HTTP/2 client, in cleartext or over TLS.
//! - [`Wire`] is a raw connection, for what no well-behaved client sends.
//! - [`Image`], [`Manifest`], [`Blob`] and [`noise`] make content, always the same from one seed.
//! - [`Provider`] is an OpenID Connect provider, with keys that rotate and logins by device code.
//! - [`until`] waits for a condition, with a deadline.

mod builder;
mod client;
mod content;
mod http2;
mod image;
mod log;
mod provider;
mod push;
mod raw;
mod registry;
mod secure;

pub(crate) use builder::Builder;
pub(crate) use client::{Answer, Request};
pub(crate) use content::{hex, noise, sha256, sha512};
pub(crate) use http2::{Http2, certificate, over_tls, over_tls_behind, shake_hands};
pub(crate) use image::{
    Blob, DOCKER_IMAGE, DOCKER_LIST, Image, Manifest, OCI_IMAGE, OCI_INDEX, descriptor, merge,
};
pub(crate) use provider::{CLIENT, Provider};
pub(crate) use raw::Wire;
pub(crate) use registry::Registry;
pub(crate) use secure::{Authority, Pair, Secure, TlsClient};

use std::time::{Duration, Instant};

/// The longest that anything which should happen at once may take on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Looks again and again until `look` finds something.
///
/// Panics with `what` after `limit`.
pub(crate) fn until<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not within {limit:?}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}
