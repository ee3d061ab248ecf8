//! An answer's body: nothing, bytes in memory, or a stream that breaks the connection off where it
//! fails, so that a client never takes a part for the whole.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{Stream, stream};
use http_body::{Body, Frame, SizeHint};
use roadstead_registry::{Error, ObjectReader};

use crate::activity::Counted;
use crate::request_log::Line;
use crate::room::Room;
use crate::stream::Direct;

/// Bytes of an answer that needs no room.
const SMALL_BYTES: usize = 64 << 10;

/// The body of an answer.
pub(crate) struct ResponseBody {
    content: Content,
    /// Written when the body has gone out, or broke off. In a box, because an answer is moved often.
    line: Option<Box<Line>>,
    /// The request and its answer count as long as the body lives.
    counted: Option<[Counted; 2]>,
}

enum Content {
    Empty,
    Full(Bytes),
    Stream { chunks: Chunks, left: Option<u64> },
}

type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, Error>> + Send>>;

impl ResponseBody {
    pub(crate) fn empty() -> Self {
        Self::of(Content::Empty)
    }

    pub(crate) fn full(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self::of(if bytes.is_empty() {
            Content::Empty
        } else {
            Content::Full(bytes)
        })
    }

    /// Chunks of together `length` bytes, where that is known.
    pub(crate) fn stream(
        chunks: impl Stream<Item = Result<Bytes, Error>> + Send + 'static,
        length: Option<u64>,
    ) -> Self {
        Self::of(Content::Stream {
            chunks: Box::pin(chunks),
            left: length,
        })
    }

    /// A range of an object, `length` bytes; sent by the kernel where the connection has a way.
    pub(crate) fn object(mut reader: ObjectReader, length: u64, direct: Option<&Direct>) -> Self {
        if let Some(direct) = direct
            && let Some(object) = reader.sendable()
        {
            direct.begin(object);
            let chunks = stream::unfold(reader, |mut reader| async move {
                let chunk = reader.next_unread().await?;
                Some((chunk.map_err(Error::from), reader))
            });
            return Self::stream(chunks, Some(length));
        }
        let chunks = stream::unfold(reader, |mut reader| async move {
            let chunk = reader.next().await?;
            Some((chunk.map_err(Error::from), reader))
        });
        Self::stream(chunks, Some(length))
    }

    /// Has what is held in memory for the answer take its room, if it is more than almost any
    /// answer has. False: there is too little.
    pub(crate) fn hold(&mut self, room: &Room) -> bool {
        if let Content::Full(bytes) = &mut self.content
            && bytes.len() > SMALL_BYTES
        {
            let Some(held) = room.try_hold(bytes.clone()) else {
                return false;
            };
            *bytes = held;
        }
        true
    }

    fn of(content: Content) -> Self {
        Self {
            content,
            line: None,
            counted: None,
        }
    }

    /// Ties what ends with the answer to its body.
    pub(crate) fn carry(&mut self, line: Box<Line>, counted: [Counted; 2]) {
        self.line = Some(line);
        self.counted = Some(counted);
    }

    fn next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        match &mut self.content {
            Content::Empty => Poll::Ready(None),
            Content::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                self.content = Content::Empty;
                Poll::Ready(Some(Ok(bytes)))
            }
            Content::Stream { chunks, left } => {
                let chunk = std::task::ready!(chunks.as_mut().poll_next(cx));
                Poll::Ready(kept(chunk, left))
            }
        }
    }
}

/// Holds a stream to the length that was promised: one that is shorter or longer is an error, so
/// that it does not look whole to the client.
fn kept(
    chunk: Option<Result<Bytes, Error>>,
    left: &mut Option<u64>,
) -> Option<Result<Bytes, Error>> {
    let Some(bytes_left) = left else { return chunk };
    match chunk {
        Some(Ok(chunk)) => match bytes_left.checked_sub(chunk.len() as u64) {
            Some(rest) => {
                *bytes_left = rest;
                Some(Ok(chunk))
            }
            None => Some(Err(Error::CutOff)),
        },
        None if *bytes_left > 0 => Some(Err(Error::CutOff)),
        chunk => chunk,
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let chunk = std::task::ready!(self.next(cx));
        if let Some(line) = &mut self.line {
            match &chunk {
                Some(Ok(chunk)) => line.sent(chunk.len()),
                Some(Err(error)) => line.broke_off(error),
                None => {}
            }
        }
        Poll::Ready(chunk.map(|chunk| chunk.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Empty => true,
            Content::Full(_) => false,
            Content::Stream { left, .. } => *left == Some(0),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Empty => SizeHint::with_exact(0),
            Content::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Stream {
                left: Some(left), ..
            } => SizeHint::with_exact(*left),
            Content::Stream { left: None, .. } => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body_util::BodyExt as _;

    use super::*;

    /// What a client gets of a stream for which `length` was promised.
    async fn got(chunks: &'static [&'static str], length: Option<u64>) -> (String, bool) {
        let chunks = chunks.iter().map(|chunk| match *chunk {
            "!" => Err(Error::CutOff),
            chunk => Ok(Bytes::from_static(chunk.as_bytes())),
        });
        let mut body = ResponseBody::stream(stream::iter(chunks), length);
        let mut text = String::new();
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => {
                    text.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap())
                }
                Err(_) => return (text, true),
            }
        }
        (text, false)
    }

    #[tokio::test]
    async fn a_stream_that_is_not_what_was_promised_breaks_off() {
        for (chunks, length, text, broken) in [
            (&["ab", "c"][..], Some(3), "abc", false),
            (&["ab", "", "c"], Some(3), "abc", false),
            (&["ab", "c"], None, "abc", false),
            (&[], Some(0), "", false),
            (&["ab"], Some(3), "ab", true),
            (&[], Some(3), "", true),
            (&["ab", "cd"], Some(3), "ab", true),
            (&["ab", "!"], Some(3), "ab", true),
            (&["ab", "!"], None, "ab", true),
        ] {
            assert_eq!(
                got(chunks, length).await,
                (text.to_owned(), broken),
                "{chunks:?} {length:?}"
            );
        }
    }

    #[test]
    fn only_large_answers_in_memory_need_room() {
        let room = Room::of(100 << 10);
        let full = |bytes: usize| ResponseBody::full(vec![0; bytes]);
        let mut large = full(70 << 10);
        assert!(large.hold(&room));
        assert!(!full(70 << 10).hold(&room));
        assert!(full(64 << 10).hold(&room) && ResponseBody::empty().hold(&room));
        drop(large);
        assert!(full(70 << 10).hold(&room));
    }

    #[test]
    fn lengths_are_exact_where_they_are_known() {
        let stream = || stream::empty::<Result<Bytes, Error>>();
        for (body, length, at_end) in [
            (ResponseBody::empty(), Some(0), true),
            (ResponseBody::full(""), Some(0), true),
            (ResponseBody::full("abc"), Some(3), false),
            (ResponseBody::stream(stream(), Some(7)), Some(7), false),
            (ResponseBody::stream(stream(), Some(0)), Some(0), true),
            (ResponseBody::stream(stream(), None), None, false),
        ] {
            assert_eq!(
                (body.size_hint().exact(), body.is_end_stream()),
                (length, at_end)
            );
        }
    }
}
