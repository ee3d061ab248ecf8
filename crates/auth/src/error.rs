//! Why somebody gets no grant.

use std::time::Duration;

use crate::basic::BasicError;
use crate::challenge::BearerError;

/// Why somebody gets no grant.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It is not known who asks.
    #[error("authentication required: {0}")]
    Unauthenticated(Reason),
    /// The token that came with the request does not say that its holder may do this; a new one
    /// might.
    #[error("the token does not cover this: {rule}")]
    InsufficientScope {
        /// What decided.
        rule: String,
    },
    /// It is known who asks, and they may not.
    #[error("{principal} may not do this: {rule}")]
    Denied {
        /// Who asked.
        principal: String,
        /// What decided.
        rule: String,
    },
    /// More passwords wait to be checked than will be checked soon, or too many were wrong.
    #[error("too many logins")]
    Busy {
        /// When it is worth while to ask again.
        retry_after: Duration,
    },
    /// The check could not be made.
    #[error("the credentials could not be checked")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A request for a token that is none.
    #[error("{0}")]
    BadTokenRequest(&'static str),
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
    /// The token is not one that is taken here.
    #[error("the token is not valid")]
    Token,
    /// The token's signature is wrong, which clients are not told apart from no token at all, as
    /// with `distribution`.
    #[error("the token's signature is wrong")]
    Signature,
}

impl Refusal {
    /// What a Bearer challenge says of the token.
    #[must_use]
    pub fn bearer_error(&self) -> Option<BearerError> {
        match self {
            Self::Unauthenticated(Reason::Token) => Some(BearerError::InvalidToken),
            Self::InsufficientScope { .. } => Some(BearerError::InsufficientScope),
            _ => None,
        }
    }
}
