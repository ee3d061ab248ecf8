//! A request's body, chunk by chunk as it is asked for, with a least speed.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use roadstead_registry::{BodyFailure, ByteSource};
use tokio::time::Instant;

use crate::activity::Activity;

/// How fast a body must come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Time spent waiting for the client over which its speed is averaged.
    pub(crate) window: Duration,
    /// Bytes that must come in such a time.
    pub(crate) bytes: u64,
}

/// The body of a request. Dropped before its end, it marks the connection: what still comes then
/// is thrown away and the connection closed.
#[derive(Debug)]
pub(crate) struct RequestBody {
    incoming: Incoming,
    declared: Option<u64>,
    activity: Arc<Activity>,
    pace: Pace,
    /// Time spent waiting in this window, and bytes that came in it.
    waited: Duration,
    received: u64,
    ended: bool,
}

impl RequestBody {
    pub(crate) fn new(incoming: Incoming, pace: Pace, activity: Arc<Activity>) -> Self {
        let declared = incoming.size_hint().exact();
        let ended = incoming.is_end_stream();
        Self {
            incoming,
            declared,
            activity,
            pace,
            waited: Duration::ZERO,
            received: 0,
            ended,
        }
    }

    /// The length that the request declares, if it declares one.
    pub(crate) fn content_length(&self) -> Option<u64> {
        self.declared
    }

    /// The next chunk. Trailers are passed over.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, BodyFailure>> {
        loop {
            if self.ended {
                return None;
            }
            match self.frame().await {
                Err(failure) => return Some(Err(failure)),
                Ok(None) => self.ended = true,
                Ok(Some(bytes)) if bytes.is_empty() => {}
                Ok(Some(bytes)) => return Some(Ok(bytes)),
            }
        }
    }

    /// One frame; only the time that the client lets us wait counts against it.
    async fn frame(&mut self) -> Result<Option<Bytes>, BodyFailure> {
        loop {
            let begun = Instant::now();
            let left = self.pace.window.saturating_sub(self.waited);
            let frame = tokio::time::timeout(left, self.incoming.frame()).await;
            self.waited += begun.elapsed();
            let Ok(frame) = frame else {
                if self.received < self.pace.bytes {
                    return Err(BodyFailure::TooSlow);
                }
                self.waited = Duration::ZERO;
                self.received = 0;
                continue;
            };
            return match frame {
                None => Ok(None),
                Some(Err(error)) => Err(failure(&error)),
                Some(Ok(frame)) => {
                    let bytes = frame.into_data().unwrap_or_default();
                    self.received += bytes.len() as u64;
                    Ok(Some(bytes))
                }
            };
        }
    }
}

fn failure(error: &hyper::Error) -> BodyFailure {
    // What hyper cannot decode it reports as a user or parse error; a connection that ended is
    // incomplete, closed, or an error of the system.
    if error.is_parse() || error.is_parse_too_large() {
        return BodyFailure::Malformed;
    }
    let kind = std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<std::io::Error>())
        .map(std::io::Error::kind);
    match kind {
        Some(std::io::ErrorKind::InvalidInput | std::io::ErrorKind::InvalidData) => {
            BodyFailure::Malformed
        }
        _ => BodyFailure::Disconnected,
    }
}

impl ByteSource for RequestBody {
    async fn next(&mut self) -> Option<Result<Bytes, BodyFailure>> {
        Self::next(self).await
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if !self.ended && !self.incoming.is_end_stream() {
            self.activity.leave_unread();
        }
    }
}
