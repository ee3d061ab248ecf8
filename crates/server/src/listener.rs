//! Taking connections: as many as there is room for, and none after the signal to stop.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::connection::{self, Serving};
use crate::limits::Limits;
use crate::tls::Tls;

/// A socket that listens already.
#[derive(Debug)]
pub enum Socket {
    /// TCP.
    Tcp(std::net::TcpListener),
    /// A unix stream socket.
    Unix(std::os::unix::net::UnixListener),
}

/// Why nothing can be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The socket cannot be used.
    #[error("the listening socket cannot be used")]
    Socket(#[source] io::Error),
}

/// The registry's server.
pub struct Server {
    serving: Arc<Serving>,
}

impl Server {
    /// Serves `app` in clear text, or over TLS; `h2c` takes HTTP/2 by prior knowledge in clear
    /// text.
    #[must_use]
    pub fn new(app: Arc<App>, limits: Limits, tls: Option<Tls>, h2c: bool) -> Self {
        Self {
            serving: Arc::new(Serving {
                app,
                limits,
                tls,
                h2c,
            }),
        }
    }

    /// Takes connections until `stop`, closes the socket, lets the requests in flight end for at
    /// most `drain`, and breaks off what is left.
    ///
    /// # Errors
    /// [`ServeError::Socket`] at the start; later errors of a connection are its own.
    pub async fn serve(
        &self,
        socket: Socket,
        stop: CancellationToken,
        drain: Duration,
    ) -> Result<(), ServeError> {
        let mut acceptor = Acceptor::new(socket).map_err(ServeError::Socket)?;
        let places = Arc::new(Semaphore::new(self.serving.limits.connections()));
        let addresses = Addresses::new(self.serving.limits.max_connections_per_address);
        let (tasks, abort) = (TaskTracker::new(), CancellationToken::new());
        loop {
            let accept = async {
                // Back-pressure: what there is no place for waits in the kernel's queue.
                let place = Arc::clone(&places).acquire_owned().await;
                (acceptor.accept().await, place)
            };
            let ((stream, peer), place) = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                accepted = accept => accepted,
            };
            let Some(counted) = addresses.count(peer.ip) else {
                tracing::debug!(address = %peer.name, "too many connections of one address");
                continue;
            };
            let (serving, stop, abort) = (Arc::clone(&self.serving), stop.clone(), abort.clone());
            tasks.spawn(async move {
                let _held = (place, counted);
                tokio::select! {
                    () = connection::serve(serving, stream, peer.name, stop) => {}
                    () = abort.cancelled() => {}
                }
            });
        }
        drop(acceptor);
        tasks.close();
        if tokio::time::timeout(drain, tasks.wait()).await.is_err() {
            tracing::warn!(
                connections = tasks.len(),
                "requests did not end in time and are broken off"
            );
            abort.cancel();
            tasks.wait().await;
        }
        Ok(())
    }
}

/// Who connected.
pub(crate) struct PeerAddress {
    /// For logs.
    name: Arc<str>,
    ip: Option<IpAddr>,
}

/// A listening socket in the runtime.
pub(crate) enum Acceptor {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// After this long a socket that could not accept is asked again: files may be free then.
const PAUSE: Duration = Duration::from_millis(100);
const KEEP_ALIVE: Duration = Duration::from_secs(180);

impl Acceptor {
    pub(crate) fn new(socket: Socket) -> io::Result<Self> {
        match socket {
            Socket::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                TcpListener::from_std(listener).map(Self::Tcp)
            }
            Socket::Unix(listener) => {
                listener.set_nonblocking(true)?;
                UnixListener::from_std(listener).map(Self::Unix)
            }
        }
    }

    /// The next connection. Waits where the process has no file left for one.
    pub(crate) async fn accept(&mut self) -> (Stream, PeerAddress) {
        loop {
            match self.accept_one().await {
                Ok(accepted) => return accepted,
                Err(error) if is_of_the_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "no connection can be taken, it is tried again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn accept_one(&mut self) -> io::Result<(Stream, PeerAddress)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                stream.set_nodelay(true)?;
                SockRef::from(&stream)
                    .set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEP_ALIVE))?;
                let peer = PeerAddress {
                    name: address.to_string().into(),
                    ip: Some(address.ip()),
                };
                Ok((Stream::Tcp(stream), peer))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((
                    Stream::Unix(stream),
                    PeerAddress {
                        name: "unix".into(),
                        ip: None,
                    },
                ))
            }
        }
    }
}

/// Whether only the connection that was to be taken has failed.
fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, InvalidInput};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | InvalidInput
    )
}

/// Connections of each address, where their number is bounded.
#[derive(Clone)]
struct Addresses {
    most: Option<usize>,
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Addresses {
    fn new(most: Option<usize>) -> Self {
        Self {
            most,
            open: Arc::default(),
        }
    }

    /// Counts one more, or finds that there are enough.
    fn count(&self, ip: Option<IpAddr>) -> Option<AddressCount> {
        let (Some(most), Some(ip)) = (self.most, ip) else {
            return Some(AddressCount { addresses: None });
        };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(ip).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        drop(open);
        Some(AddressCount {
            addresses: Some((self.clone(), ip)),
        })
    }
}

/// One connection of an address, as long as it lives.
struct AddressCount {
    addresses: Option<(Addresses, IpAddr)>,
}

impl Drop for AddressCount {
    fn drop(&mut self) {
        let Some((addresses, ip)) = &self.addresses else {
            return;
        };
        let mut open = addresses
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(ip) {
            *count -= 1;
            if *count == 0 {
                open.remove(ip);
            }
        }
    }
}

/// A connection of either kind.
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

macro_rules! each {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Stream::Tcp($stream) => $call,
            Stream::Unix($stream) => $call,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        each!(self, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        each!(self, stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self, stream => Pin::new(stream).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}
