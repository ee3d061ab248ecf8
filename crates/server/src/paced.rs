//! A connection's bytes with its time budgets: how long it may be idle, how long a request's head
//! may take, and what is read and thrown away before it is closed.
//!
//! The budgets are those of HTTP/1, whose requests follow each other. HTTP/2 has pings and a watch
//! of its own (`connection.rs`).

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::activity::Activity;
use crate::head::Heads;
use crate::limits::Limits;

/// Which HTTP is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// A stream with budgets.
pub(crate) struct Paced<S> {
    stream: S,
    activity: Arc<Activity>,
    protocol: Protocol,
    idle_timeout: Duration,
    header_timeout: Duration,
    /// Read to tell the protocol, and not yet handed on.
    ahead: Bytes,
    heads: Heads,
    phase: Phase,
    /// When the phase will have lasted too long.
    deadline: Instant,
    /// Set to the deadline only when it goes off before: most requests never touch it.
    timer: Pin<Box<Sleep>>,
    /// What is left to send of the answer to a first line that is too long.
    refusal: Bytes,
    lingering: Option<Linger>,
}

/// Where the connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing of the request after these so many came.
    Idle { after: u64 },
    /// Some of the head of the request after these so many came.
    Head { after: u64 },
    /// A request is being answered.
    Busy,
    /// Nothing more is read.
    Refused,
}

/// Reading and throwing away before a close, so that the client gets to its answer.
struct Linger {
    until: Pin<Box<Sleep>>,
    bytes_left: usize,
}

/// How long, and how much, is thrown away.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 4 << 20;

/// How an HTTP/2 connection begins (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const TOO_LONG: &[u8] =
    b"HTTP/1.1 414 URI Too Long\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

impl<S: AsyncRead + AsyncWrite + Unpin> Paced<S> {
    pub(crate) fn new(stream: S, limits: &Limits) -> Self {
        Self {
            stream,
            activity: Arc::default(),
            protocol: Protocol::Http1,
            idle_timeout: limits.idle_timeout,
            header_timeout: limits.header_timeout,
            ahead: Bytes::new(),
            heads: Heads::new(limits.first_line_bytes()),
            phase: Phase::Idle { after: 0 },
            deadline: Instant::now() + limits.idle_timeout,
            timer: Box::pin(tokio::time::sleep(limits.idle_timeout)),
            refusal: Bytes::new(),
            lingering: None,
        }
    }

    pub(crate) fn activity(&self) -> Arc<Activity> {
        Arc::clone(&self.activity)
    }

    pub(crate) fn speak(&mut self, protocol: Protocol) {
        self.protocol = protocol;
    }

    /// Looks at the first bytes: HTTP/2 by prior knowledge, or HTTP/1.
    ///
    /// # Errors
    /// Those of the stream, and [`io::ErrorKind::TimedOut`].
    pub(crate) async fn sniff(&mut self) -> io::Result<Protocol> {
        let mut ahead = BytesMut::with_capacity(PREFACE.len());
        let mut timeout = self.idle_timeout;
        while ahead.len() < PREFACE.len() && PREFACE.starts_with(&ahead) {
            let mut room = (&mut self.stream).take((PREFACE.len() - ahead.len()) as u64);
            let read = tokio::time::timeout(timeout, room.read_buf(&mut ahead));
            if read.await.map_err(|_| io::ErrorKind::TimedOut)?? == 0 {
                break;
            }
            timeout = self.header_timeout;
        }
        self.ahead = ahead.freeze();
        Ok(if *self.ahead == *PREFACE {
            Protocol::Http2
        } else {
            Protocol::Http1
        })
    }

    /// Follows what became of the requests.
    fn follow(&mut self) {
        let (begun, idle) = (self.activity.begun(), self.activity.is_idle());
        let phase = match self.phase {
            Phase::Refused => return,
            _ if self.protocol == Protocol::Http2 || !idle => Phase::Busy,
            // A head that came whole and is no request yet still has its budget.
            _ if begun < self.heads.complete() => Phase::Head { after: begun },
            _ => {
                self.heads.resume(begun);
                if self.heads.is_within_head() {
                    Phase::Head { after: begun }
                } else {
                    Phase::Idle { after: begun }
                }
            }
        };
        if phase == self.phase {
            return;
        }
        self.phase = phase;
        let timeout = match phase {
            Phase::Idle { .. } => self.idle_timeout,
            Phase::Head { .. } => self.header_timeout,
            Phase::Busy | Phase::Refused => return,
        };
        self.deadline = Instant::now() + timeout;
    }

    fn expired(&mut self, cx: &mut Context<'_>) -> bool {
        match self.phase {
            Phase::Idle { .. } | Phase::Head { .. } => {}
            Phase::Busy | Phase::Refused => return false,
        }
        if self.timer.deadline() > self.deadline {
            self.timer.as_mut().reset(self.deadline);
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            if self.timer.deadline() == self.deadline {
                return true;
            }
            self.timer.as_mut().reset(self.deadline);
        }
        false
    }

    fn read_inner(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let length = self.ahead.len().min(buf.remaining());
        buf.put_slice(&self.ahead[..length]);
        self.ahead.advance(length);
        Poll::Ready(Ok(()))
    }

    /// Answers a first line that is too long, and ends as if the client had said nothing more.
    fn poll_refuse(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.refusal.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.refusal))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.refusal.advance(written);
        }
        ready!(Pin::new(&mut *self).poll_shutdown(cx))?;
        Poll::Ready(Ok(()))
    }

    /// Whether the client may still be sending what nobody will read.
    fn is_unfinished(&self) -> bool {
        self.activity.left_unread()
            || self.phase == Phase::Refused
            || self.heads.is_within_head()
            || self.heads.complete() > self.activity.begun()
    }

    /// Reads and throws away until the client closes, or enough is enough.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let linger = self.lingering.get_or_insert_with(|| Linger {
            until: Box::pin(tokio::time::sleep(LINGER)),
            bytes_left: LINGER_BYTES,
        });
        let mut scratch = [0; 4096];
        loop {
            if linger.until.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            let mut buf = ReadBuf::new(&mut scratch);
            let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf));
            let length = buf.filled().len();
            if read.is_err() || length == 0 || length > linger.bytes_left {
                return Poll::Ready(());
            }
            linger.bytes_left -= length;
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.follow();
        if this.phase == Phase::Refused {
            return this.poll_refuse(cx);
        }
        let before = buf.filled().len();
        match this.read_inner(cx, buf) {
            Poll::Ready(Ok(())) if this.protocol == Protocol::Http1 => {
                if this.heads.look(&buf.filled()[before..]).is_err() {
                    buf.set_filled(before);
                    this.phase = Phase::Refused;
                    this.refusal = Bytes::from_static(TOO_LONG);
                    return this.poll_refuse(cx);
                }
                if let Some(number) = this.heads.ambiguous() {
                    this.activity.distrust(number);
                }
                this.follow();
                Poll::Ready(Ok(()))
            }
            Poll::Pending if this.expired(cx) => {
                let error = io::Error::new(io::ErrorKind::TimedOut, "no request came in time");
                Poll::Ready(Err(error))
            }
            read => read,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, buf))?;
        self.activity.sent(written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, bufs))?;
        self.activity.sent(written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingering.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        }
        if self.is_unfinished() {
            ready!(self.poll_linger(cx));
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests;
