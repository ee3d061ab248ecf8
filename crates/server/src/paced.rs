//! A connection's bytes with its time budgets: how long it may be idle, how long a request's head
//! may take, and what is read and thrown away before it is closed.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::activity::Activity;
use crate::head::HeadScan;
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
    first_line_bytes: usize,
    /// Read to tell the protocol, and not yet handed on.
    ahead: Bytes,
    phase: Phase,
    scan: HeadScan,
    timer: Pin<Box<Sleep>>,
    /// The answer to a first line that is too long.
    refusal: Bytes,
    lingering: Option<Linger>,
}

/// Where the connection stands between its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing of a next request came.
    Idle,
    /// Some of a request's head came.
    Head,
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
            first_line_bytes: limits.first_line_bytes(),
            ahead: Bytes::new(),
            phase: Phase::Idle,
            scan: HeadScan::default(),
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
    pub(crate) async fn sniff(&mut self) -> io::Result<Protocol> {
        let mut ahead = BytesMut::with_capacity(PREFACE.len());
        let timeout = self.header_timeout;
        let look = async {
            while ahead.len() < PREFACE.len() && PREFACE.starts_with(&ahead) {
                let mut room = (&mut self.stream).take((PREFACE.len() - ahead.len()) as u64);
                if room.read_buf(&mut ahead).await? == 0 {
                    break;
                }
            }
            Ok(())
        };
        let looked: io::Result<()> = tokio::time::timeout(timeout, look)
            .await
            .map_err(|_| io::ErrorKind::TimedOut)?;
        looked?;
        self.ahead = ahead.freeze();
        Ok(if *self.ahead == *PREFACE {
            Protocol::Http2
        } else {
            Protocol::Http1
        })
    }

    /// Follows what the requests do.
    fn follow(&mut self) {
        match (self.phase, self.activity.is_idle()) {
            (Phase::Busy, true) => self.enter(Phase::Idle, self.idle_timeout),
            (Phase::Idle | Phase::Head, false) => self.phase = Phase::Busy,
            _ => {}
        }
    }

    fn enter(&mut self, phase: Phase, timeout: Duration) {
        self.phase = phase;
        self.timer.as_mut().reset(Instant::now() + timeout);
    }

    /// Looks at bytes that belong to a request's head. False: its first line is too long.
    fn head(&mut self, bytes: &[u8]) -> bool {
        if self.protocol == Protocol::Http2 {
            return true;
        }
        if self.phase == Phase::Idle {
            self.scan = HeadScan::default();
            self.enter(Phase::Head, self.header_timeout);
        }
        self.scan.feed(bytes);
        self.activity.set_two_lengths(self.scan.has_two_lengths());
        self.scan.first_line_bytes() <= self.first_line_bytes
    }

    fn expired(&mut self, cx: &mut Context<'_>) -> bool {
        match self.phase {
            Phase::Idle | Phase::Head => self.timer.as_mut().poll(cx).is_ready(),
            Phase::Busy | Phase::Refused => false,
        }
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
        while !this.refusal.is_empty() {
            let written = ready!(Pin::new(&mut this.stream).poll_write(cx, &this.refusal))?;
            this.refusal.advance(written);
        }
        if this.phase == Phase::Refused {
            // As if the client had said nothing more.
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        match this.read_inner(cx, buf) {
            Poll::Ready(Ok(())) => {
                let read = buf.filled().len() - before;
                if read > 0 && this.phase != Phase::Busy {
                    let start = buf.filled().len() - read;
                    let fits = this.head(&buf.filled()[start..]);
                    if !fits {
                        buf.set_filled(before);
                        this.phase = Phase::Refused;
                        this.refusal = Bytes::from_static(TOO_LONG);
                        this.activity.leave_unread();
                        return self.poll_read(cx, buf);
                    }
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(error) => Poll::Ready(error),
            Poll::Pending if this.expired(cx) => Poll::Ready(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "no request came",
            ))),
            Poll::Pending => Poll::Pending,
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
        if self.activity.left_unread() {
            ready!(self.poll_linger(cx));
        }
        Poll::Ready(Ok(()))
    }
}
