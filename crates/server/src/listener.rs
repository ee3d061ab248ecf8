//! Taking connections: as many as there is room for, and none after the signal to stop.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::connection::{self, Serving};
use crate::limits::Limits;
use crate::perimeter::client::PeerAddress;
use crate::stream::Stream;
use crate::tls::Tls;
use crate::workers::Workers;

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
    /// The threads that serve cannot be started.
    #[error("the threads that serve cannot be started")]
    Threads(#[source] io::Error),
}

/// The registry's server.
pub struct Server {
    serving: Arc<Serving>,
    workers: Workers,
}

impl Server {
    /// Serves `app` in clear text, or over TLS; `h2c` takes HTTP/2 by prior knowledge in clear
    /// text. Starts the threads that will.
    ///
    /// # Errors
    /// [`ServeError::Threads`].
    pub fn new(
        app: Arc<App>,
        limits: Limits,
        tls: Option<Tls>,
        h2c: bool,
    ) -> Result<Self, ServeError> {
        Ok(Self {
            serving: Arc::new(Serving {
                app,
                limits,
                tls,
                h2c,
            }),
            workers: Workers::start().map_err(ServeError::Threads)?,
        })
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
            if tasks.len() >= FEW {
                stream.bound_unsent();
            }
            let stream = match stream.detach() {
                Ok(stream) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection cannot be handed on");
                    continue;
                }
            };
            let worker = self.workers.least_busy();
            let busy = worker.busy();
            let (serving, stop, abort) = (Arc::clone(&self.serving), stop.clone(), abort.clone());
            let connection = async move {
                let _held = (place, counted, busy);
                let stream = match stream.attach() {
                    Ok(stream) => stream,
                    Err(error) => {
                        tracing::warn!(%error, "a connection cannot be served");
                        return;
                    }
                };
                tokio::select! {
                    () = connection::serve(serving, stream, peer, stop) => {}
                    () = abort.cancelled() => {}
                }
            };
            tasks.spawn_on(connection, worker.runtime());
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

/// So many connections may have as much of the system's memory as it gives them, which is the
/// fastest; those that come beyond them have little each.
const FEW: usize = 256;

/// A listening socket in the runtime.
pub(crate) enum Acceptor {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Serves a listener beside the registry's own, which never has many clients, until `stop`: at most
/// `most` connections at a time, and more wait.
pub(crate) async fn serve_few<F>(
    mut acceptor: Acceptor,
    most: usize,
    stop: CancellationToken,
    connection: impl Fn(Stream) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(most));
    let tasks = TaskTracker::new();
    loop {
        let accept = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (acceptor.accept().await, place)
        };
        let ((stream, _), place) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept => accepted,
        };
        let (served, stop) = (connection(stream), stop.clone());
        tasks.spawn(async move {
            let _place = place;
            stop.run_until_cancelled(served).await;
        });
    }
    drop(acceptor);
    tasks.close();
    tasks.wait().await;
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

    /// The next connection. Where the process or the system has nothing left for one, it waits and
    /// tries again.
    pub(crate) async fn accept(&mut self) -> (Stream, PeerAddress) {
        let mut failed = false;
        loop {
            match self.accept_one().await {
                Ok(accepted) => {
                    if failed {
                        tracing::info!("connections are taken again");
                    }
                    return accepted;
                }
                Err(error) if is_of_the_connection(&error) => {}
                Err(error) => {
                    if !failed {
                        tracing::warn!(%error, "no connection can be taken; it is tried again");
                    }
                    failed = true;
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn accept_one(&mut self) -> io::Result<(Stream, PeerAddress)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                if let Err(error) = set_options(&stream) {
                    // It may have ended already, which its first read will tell.
                    tracing::debug!(%error, "a connection's options cannot be set");
                }
                let peer = PeerAddress {
                    name: address.to_string().into(),
                    ip: Some(address.ip().to_canonical()),
                };
                Ok((Stream::tcp(stream), peer))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                let peer = PeerAddress {
                    name: "unix".into(),
                    ip: None,
                };
                Ok((Stream::unix(stream), peer))
            }
        }
    }
}

/// Answers leave at once, and a peer that is gone without a word is noticed some time.
fn set_options(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    SockRef::from(stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEP_ALIVE))
}

/// Whether only the connection that was to be taken has failed.
fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

    use super::*;

    #[test]
    fn an_address_has_no_more_than_its_share() {
        let addresses = Addresses::new(Some(2));
        let [one, other]: [IpAddr; 2] = [[10, 0, 0, 1].into(), [10, 0, 0, 2].into()];
        let first = addresses.count(Some(one));
        let second = addresses.count(Some(one));
        assert!(first.is_some() && second.is_some());
        assert!(addresses.count(Some(one)).is_none());
        assert!(addresses.count(Some(other)).is_some());
        assert!(addresses.count(None).is_some());
        drop(first);
        let third = addresses.count(Some(one));
        assert!(third.is_some() && addresses.count(Some(one)).is_none());
        drop((second, third));
        assert!(addresses.open.lock().unwrap().is_empty());
    }

    #[test]
    fn without_a_share_nothing_is_counted() {
        let addresses = Addresses::new(None);
        let counts: Vec<_> = (0..100)
            .map(|_| addresses.count(Some([10, 0, 0, 1].into())))
            .collect();
        assert!(counts.iter().all(Option::is_some));
        assert!(addresses.open.lock().unwrap().is_empty());
    }

    /// Sends a word over an accepted connection.
    async fn check(mut acceptor: Acceptor, mut client: impl AsyncWrite + Unpin) -> PeerAddress {
        let ((mut stream, peer), sent) =
            tokio::join!(acceptor.accept(), client.write_all(b"hello"));
        sent.unwrap();
        let mut word = [0; 5];
        stream.read_exact(&mut word).await.unwrap();
        assert_eq!(&word, b"hello");
        peer
    }

    #[tokio::test]
    async fn both_kinds_of_sockets_are_taken() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = Acceptor::new(Socket::Tcp(listener)).unwrap();
        let client = TcpStream::connect(address).await.unwrap();
        let name = client.local_addr().unwrap().to_string();
        let peer = check(acceptor, client).await;
        assert_eq!(
            (&*peer.name, peer.ip),
            (name.as_str(), Some([127, 0, 0, 1].into()))
        );

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let acceptor = Acceptor::new(Socket::Unix(listener)).unwrap();
        let client = tokio::net::UnixStream::connect(&path).await.unwrap();
        let peer = check(acceptor, client).await;
        assert_eq!((&*peer.name, peer.ip), ("unix", None));
    }
}
