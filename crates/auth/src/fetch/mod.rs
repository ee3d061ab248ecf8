//! Documents of other servers, over HTTPS: key sets and what goes with them.
//!
//! Where such a document is comes from data, so every fetch is guarded (`address.rs`): the name is
//! looked up once, each address is checked, and the connection goes to an address that was checked,
//! never to the name. Redirects are not followed. Answers are bounded in size and time.

mod address;
mod exchange;
mod roots;
#[cfg(test)]
pub(crate) mod server;
#[cfg(test)]
mod tests;
mod url;

use std::io;
use std::path::PathBuf;

pub use address::{Allowed, InvalidAllowed};
pub(crate) use exchange::Fetcher;
pub use roots::RootsError;

pub use url::{HttpUrl, HttpsUrl, InvalidUrl};

/// What outgoing connections may do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EgressSettings {
    /// Hosts and networks that may be private addresses.
    pub allow: Vec<Allowed>,
    /// A PEM file of authorities that are trusted besides the system's.
    pub ca: Option<PathBuf>,
}

/// Bytes of an answer at most.
pub(crate) const MAX_BYTES: usize = 1 << 20;

/// Why a document did not come.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The name leads nowhere.
    #[error("cannot look up {host}")]
    Lookup {
        /// The host.
        host: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The name leads where nothing may be fetched.
    #[error(
        "{host} is {address}, which is not a public address (access.egress.allow can allow it)"
    )]
    Forbidden {
        /// The host.
        host: String,
        /// Its address.
        address: std::net::IpAddr,
    },
    /// Plain HTTP would leave the machine.
    #[error("{host} is {address}: plain HTTP is for this machine alone")]
    Plain {
        /// The host.
        host: String,
        /// Its address.
        address: std::net::IpAddr,
    },
    /// The host's name can be in no certificate.
    #[error("{host} is not the name of a host")]
    NotAHost {
        /// The host.
        host: String,
    },
    /// The connection failed, TLS included.
    #[error("cannot connect to {host}")]
    Connect {
        /// The host.
        host: String,
        /// What the system or TLS says.
        #[source]
        source: io::Error,
    },
    /// The other side does not speak HTTP, or stopped in the middle.
    #[error("the exchange with {host} failed")]
    Exchange {
        /// The host.
        host: String,
        /// What HTTP says.
        #[source]
        source: hyper::Error,
    },
    /// The answer is another one.
    #[error("{url} answers with status {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// The status.
        status: u16,
    },
    /// The answer leads elsewhere, where nobody goes.
    #[error("{url} answers with a redirect, which is not followed")]
    Redirected {
        /// What was asked for.
        url: String,
    },
    /// The answer is larger than any such document.
    #[error("{url} answers with more than {MAX_BYTES} bytes")]
    TooLarge {
        /// What was asked for.
        url: String,
    },
    /// It took too long.
    #[error("it took longer than 10 s")]
    TimedOut,
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some wrappers only repeat what they wrap.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
