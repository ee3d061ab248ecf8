//! Bytes as they come in from a client, seen from below HTTP.

use std::future::Future;

use bytes::Bytes;

/// A request body read chunk by chunk, with back-pressure: nothing is read before it is asked for.
pub trait ByteSource: Send + 'static {
    /// The next chunk, `None` after the last. After an error nothing more is asked.
    fn next(&mut self) -> impl Future<Output = Option<Result<Bytes, BodyFailure>>> + Send;
}

/// Why a body ended before its end. What was received before stays received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyFailure {
    /// The client went away or the connection broke.
    #[error("the connection ended before the body did")]
    Disconnected,
    /// The client sent slower than the least rate that is allowed.
    #[error("the body arrived too slowly")]
    TooSlow,
    /// The framing of the body cannot be decoded.
    #[error("the body cannot be decoded")]
    Malformed,
}

/// The body of a request that has none.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoBody;

impl ByteSource for NoBody {
    async fn next(&mut self) -> Option<Result<Bytes, BodyFailure>> {
        None
    }
}
