//! A connection of either kind, and the way of an object's bytes past this program.

use std::io::{self, IoSlice};
use std::ops::RangeInclusive;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use roadstead_registry::Sendable;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, recv, sendmsg};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// Of an object of this many bytes the head of the answer is not held back. A shorter one goes out
/// in one packet with it, where packets are large. One of this length and its head make a full
/// packet and a small rest, which waits for a timer where the kernel paces what it sends: on the
/// loopback that costs more processor time than everything else of the answer. For a longer one
/// that is nothing, and a peer that the head has woken takes it in more and smaller pieces.
const APART_BYTES: RangeInclusive<usize> = (32 << 10) + 1..=256 << 10;

/// What the system holds for a peer where there are many.
const UNSENT_BYTES: u32 = 256 << 10;

/// TCP or a unix socket.
pub(crate) struct Stream {
    socket: Socket,
    direct: Arc<Direct>,
}

enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// The object that an answer is made of, where the kernel can send it by itself. The answer's body
/// sets it; bytes of it that come to be written are then not read.
#[derive(Debug, Default)]
pub(crate) struct Direct {
    /// Whether there ever was one: most connections have none.
    used: AtomicBool,
    object: Mutex<Sendable>,
}

impl Direct {
    pub(crate) fn begin(&self, object: Sendable) {
        *self.object.lock().unwrap_or_else(PoisonError::into_inner) = object;
        self.used.store(true, Ordering::Release);
    }

    fn object(&self) -> Option<Sendable> {
        let used = self.used.load(Ordering::Acquire);
        let object = || self.object.lock().unwrap_or_else(PoisonError::into_inner);
        used.then(|| object().clone())
    }
}

/// A connection that belongs to no runtime.
pub(crate) enum Detached {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

impl Detached {
    /// Puts it into the runtime of the task that calls.
    ///
    /// # Errors
    /// Those of the runtime's way to wait for it.
    pub(crate) fn attach(self) -> io::Result<Stream> {
        Ok(match self {
            Self::Tcp(socket) => Stream::tcp(TcpStream::from_std(socket)?),
            Self::Unix(socket) => Stream::unix(UnixStream::from_std(socket)?),
        })
    }
}

macro_rules! each {
    ($self:ident, $socket:ident => $call:expr) => {
        match &mut $self.get_mut().socket {
            Socket::Tcp($socket) => $call,
            Socket::Unix($socket) => $call,
        }
    };
}

impl Stream {
    pub(crate) fn tcp(socket: TcpStream) -> Self {
        Self::of(Socket::Tcp(socket))
    }

    pub(crate) fn unix(socket: UnixStream) -> Self {
        Self::of(Socket::Unix(socket))
    }

    /// Lets the system hold little for the peer beyond what is on its way. Without that a send
    /// buffer grows to megabytes: some thousand clients that do not read use up all memory that the
    /// system has for TCP (`net.ipv4.tcp_mem`), and it then resets the connections of others.
    pub(crate) fn bound_unsent(&self) {
        if let Socket::Tcp(socket) = &self.socket {
            let bounded = SockRef::from(socket).set_tcp_notsent_lowat(UNSENT_BYTES);
            if let Err(error) = bounded {
                tracing::debug!(%error, "what is held for a connection cannot be bounded");
            }
        }
    }

    fn of(socket: Socket) -> Self {
        let direct = Arc::default();
        Self { socket, direct }
    }

    /// Takes the connection out of its runtime.
    ///
    /// # Errors
    /// Those of the runtime's way to wait for it.
    pub(crate) fn detach(self) -> io::Result<Detached> {
        Ok(match self.socket {
            Socket::Tcp(socket) => Detached::Tcp(socket.into_std()?),
            Socket::Unix(socket) => Detached::Unix(socket.into_std()?),
        })
    }

    /// The first byte that comes, left where it is; none where the peer closes instead.
    ///
    /// # Errors
    /// Those of the socket.
    pub(crate) async fn peek(&self) -> io::Result<Option<u8>> {
        match &self.socket {
            Socket::Tcp(socket) => {
                let look = || look(socket);
                socket.async_io(Interest::READABLE, look).await
            }
            Socket::Unix(socket) => {
                let look = || look(socket);
                socket.async_io(Interest::READABLE, look).await
            }
        }
    }

    pub(crate) fn direct(&self) -> Arc<Direct> {
        Arc::clone(&self.direct)
    }

    /// Writes slices of which at least one is the object's, which the kernel sends: what stands
    /// before it is held back for it, if it is small.
    fn poll_direct(
        &self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
        object: &Sendable,
    ) -> Poll<io::Result<usize>> {
        let before = slices
            .iter()
            .position(|slice| object.has(slice))
            .unwrap_or(slices.len());
        match &self.socket {
            Socket::Tcp(socket) => loop {
                ready!(socket.poll_write_ready(cx))?;
                let sent =
                    socket.try_io(Interest::WRITABLE, || send(socket, slices, before, object));
                if !would_block(&sent) {
                    return Poll::Ready(sent);
                }
            },
            Socket::Unix(socket) => loop {
                ready!(socket.poll_write_ready(cx))?;
                let sent =
                    socket.try_io(Interest::WRITABLE, || send(socket, slices, before, object));
                if !would_block(&sent) {
                    return Poll::Ready(sent);
                }
            },
        }
    }
}

fn look(socket: &impl AsFd) -> io::Result<Option<u8>> {
    let mut first = [0];
    let (count, _) = recv(socket, &mut first, RecvFlags::PEEK)?;
    Ok((count > 0).then_some(first[0]))
}

fn would_block(sent: &io::Result<usize>) -> bool {
    matches!(sent, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

fn send(
    socket: &impl AsFd,
    slices: &[IoSlice<'_>],
    before: usize,
    object: &Sendable,
) -> io::Result<usize> {
    match slices.get(..before) {
        None | Some([]) => object.send(socket.as_fd(), &slices[0]),
        Some(head) => {
            let rest: usize = slices[before..].iter().map(|slice| slice.len()).sum();
            let mut flags = SendFlags::NOSIGNAL;
            flags.set(SendFlags::MORE, !APART_BYTES.contains(&rest));
            let sent = sendmsg(socket, head, &mut SendAncillaryBuffer::default(), flags);
            Ok(sent?)
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        each!(self, socket => Pin::new(socket).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(object) = self.direct.object()
            && bufs.iter().any(|slice| object.has(slice))
        {
            return self.poll_direct(cx, bufs, &object);
        }
        each!(self, socket => Pin::new(socket).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, socket => Pin::new(socket).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, socket => Pin::new(socket).poll_shutdown(cx))
    }
}
