//! A request's body, chunk by chunk as it is asked for, with a least speed.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};

use bytes::Bytes;
use http_body::Body as _;
use hyper::body::Incoming;
use roadstead_registry::{BodyFailure, ByteSource};

use crate::activity::Activity;
use crate::pace::{Pace, Patience};

/// The body of a request. Dropped before its end, it marks the connection: what still comes then
/// is thrown away and the connection closed.
#[derive(Debug)]
pub(crate) struct RequestBody {
    incoming: Incoming,
    declared: Option<u64>,
    activity: Arc<Activity>,
    patience: Patience,
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
            patience: Patience::new(pace),
            ended,
        }
    }

    /// The length that the request declares, if it declares one.
    pub(crate) fn content_length(&self) -> Option<u64> {
        self.declared
    }

    /// The next chunk. Trailers are passed over.
    ///
    /// # Cancel safety
    /// Nothing is lost where the future is dropped.
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
        let frame = poll_fn(|cx| {
            let frame = Pin::new(&mut self.incoming).poll_frame(cx);
            if frame.is_pending() {
                ready!(self.patience.poll_end(cx));
                return Poll::Ready(Err(BodyFailure::TooSlow));
            }
            frame.map(Ok)
        });
        let frame = frame.await?;
        match frame {
            None => Ok(None),
            Some(Err(error)) => Err(failure(&error)),
            Some(Ok(frame)) => {
                let bytes = frame.into_data().unwrap_or_default();
                self.patience.moved(bytes.len());
                Ok(Some(bytes))
            }
        }
    }
}

/// Whether the client wrote what cannot be read, or went away.
fn failure(error: &hyper::Error) -> BodyFailure {
    if error.is_parse() || error.is_parse_too_large() {
        return BodyFailure::Malformed;
    }
    // hyper's decoder of chunks reports by these kinds.
    let source = std::error::Error::source(error);
    match source
        .and_then(|source| source.downcast_ref::<io::Error>())
        .map(io::Error::kind)
    {
        Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => BodyFailure::Malformed,
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

#[cfg(test)]
mod tests;
