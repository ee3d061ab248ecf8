//! Why somebody gets no grant.

use std::time::Duration;

use crate::basic::BasicError;

/// Why somebody gets no grant.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It is not known who asks.
    #[error("authentication required: {reason}")]
    Unauthenticated {
        /// The value of `WWW-Authenticate`.
        challenge: String,
        /// What was wrong, for the log.
        reason: Reason,
    },
    /// It is known who asks, and they may not.
    #[error("{principal} may not do this")]
    Denied {
        /// Who asked.
        principal: String,
    },
    /// More passwords wait to be checked than will be checked soon.
    #[error("too many logins at once")]
    Busy {
        /// When it is worth while to ask again.
        retry_after: Duration,
    },
    /// The check could not be made.
    #[error("the password could not be checked")]
    Unavailable(#[source] tokio::task::JoinError),
}

/// Why it is not known who asks. Whether a user exists is not told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// There are no credentials.
    #[error("no credentials")]
    Missing,
    /// The credentials cannot be read.
    #[error("the credentials are malformed: {0}")]
    Malformed(BasicError),
    /// Nobody has this name and password.
    #[error("wrong user or password")]
    Wrong,
}
