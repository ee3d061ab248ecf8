//! Small bodies are gathered before anything is created for them: they live in a row.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::body::{BodyFailure, ByteSource};

/// What a look at the beginning of a body found.
pub(super) enum Gathered<B> {
    /// All of it, no longer than the limit.
    Whole(Bytes),
    /// It goes on past the limit, or broke off: read it again from its beginning.
    Longer(Replay<B>),
}

/// Reads at most a little more than `limit` bytes.
pub(super) async fn gather<B: ByteSource>(mut body: B, limit: usize) -> Gathered<B> {
    let mut head = VecDeque::new();
    let mut length = 0;
    let mut failed = None;
    loop {
        match body.next().await {
            None => break,
            Some(Err(failure)) => {
                failed = Some(failure);
                return Gathered::Longer(Replay {
                    head,
                    failed,
                    rest: body,
                });
            }
            Some(Ok(chunk)) => {
                length += chunk.len();
                head.push_back(chunk);
                if length > limit {
                    return Gathered::Longer(Replay {
                        head,
                        failed,
                        rest: body,
                    });
                }
            }
        }
    }
    Gathered::Whole(match head.len() {
        1 => head.pop_front().unwrap_or_default(),
        _ => {
            let mut whole = BytesMut::with_capacity(length);
            head.iter().for_each(|chunk| whole.extend_from_slice(chunk));
            whole.freeze()
        }
    })
}

/// A body whose beginning has been read already.
pub(super) struct Replay<B> {
    head: VecDeque<Bytes>,
    failed: Option<BodyFailure>,
    rest: B,
}

impl<B: ByteSource> ByteSource for Replay<B> {
    async fn next(&mut self) -> Option<Result<Bytes, BodyFailure>> {
        if let Some(chunk) = self.head.pop_front() {
            return Some(Ok(chunk));
        }
        match self.failed.take() {
            Some(failure) => Some(Err(failure)),
            None => self.rest.next().await,
        }
    }
}
