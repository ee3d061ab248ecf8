//! Sockets: inherited from systemd, or bound where the configuration says.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use listenfd::ListenFd;
use socket2::{Domain, Protocol, Socket, Type};

use crate::config::Listen;

/// A socket that takes connections.
#[derive(Debug)]
pub(crate) enum Bound {
    /// TCP.
    Tcp(TcpListener),
    /// A unix socket; `path` is known where this process made it, and must remove it.
    Unix {
        listener: UnixListener,
        path: Option<PathBuf>,
    },
}

impl Bound {
    /// Where it listens, for people.
    pub(crate) fn address(&self) -> String {
        let unnamed = || "an unnamed socket".to_owned();
        match self {
            Self::Tcp(listener) => listener
                .local_addr()
                .map_or_else(|_| unnamed(), |it| it.to_string()),
            Self::Unix { listener, .. } => {
                let address = listener.local_addr().ok();
                let path = address.as_ref().and_then(|address| address.as_pathname());
                path.map_or_else(unnamed, |path| path.display().to_string())
            }
        }
    }

    /// The file that this process made for it and must remove.
    pub(crate) fn socket_file(&self) -> Option<PathBuf> {
        match self {
            Self::Tcp(_) => None,
            Self::Unix { path, .. } => path.clone(),
        }
    }
}

impl From<Bound> for roadstead_server::Socket {
    fn from(bound: Bound) -> Self {
        match bound {
            Bound::Tcp(listener) => Self::Tcp(listener),
            Bound::Unix { listener, .. } => Self::Unix(listener),
        }
    }
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SocketError {
    #[error("cannot listen at {listen}")]
    Bind { listen: Listen, source: io::Error },
    #[error("the address {listen} has no meaning here")]
    Resolve { listen: Listen, source: io::Error },
    #[error("cannot listen at {}: there is a file that is no socket", path.display())]
    NotASocket { path: PathBuf },
    #[error("cannot listen at {}: another process does", path.display())]
    Taken { path: PathBuf },
    #[error("systemd has passed {0} sockets, but exactly one can be served")]
    TooManyInherited(usize),
    #[error("cannot use the socket that systemd has passed")]
    Inherited(#[source] io::Error),
}

/// Connections that the kernel keeps waiting for us.
const BACKLOG: i32 = 1024;

/// The one socket that systemd passed, if it passed any.
///
/// # Errors
/// More than one, or one that is neither TCP nor a unix stream socket.
pub(crate) fn inherited() -> Result<Option<Bound>, SocketError> {
    let mut passed = ListenFd::from_env();
    match passed.len() {
        0 => return Ok(None),
        1 => {}
        number => return Err(SocketError::TooManyInherited(number)),
    }
    if let Ok(Some(listener)) = passed.take_tcp_listener(0) {
        return Ok(Some(Bound::Tcp(listener)));
    }
    let listener = passed
        .take_unix_listener(0)
        .map_err(SocketError::Inherited)?;
    Ok(listener.map(|listener| Bound::Unix {
        listener,
        path: None,
    }))
}

/// Binds and listens.
///
/// # Errors
/// The address is taken, not ours, or not to be resolved; for a unix socket also a file in its
/// place that is no socket, or a process that already listens there.
pub(crate) fn bind(listen: &Listen) -> Result<Bound, SocketError> {
    let bind = |source| SocketError::Bind {
        listen: listen.clone(),
        source,
    };
    match listen {
        Listen::Tcp { host: None, port } => everywhere(*port).map(Bound::Tcp).map_err(bind),
        Listen::Tcp {
            host: Some(host),
            port,
        } => {
            let resolve = |source| SocketError::Resolve {
                listen: listen.clone(),
                source,
            };
            let addresses = (host.as_str(), *port).to_socket_addrs().map_err(resolve)?;
            first_of(addresses).map(Bound::Tcp).map_err(bind)
        }
        Listen::Unix(path) => {
            clear_place(path, listen)?;
            let listener = UnixListener::bind(path).map_err(bind)?;
            Ok(Bound::Unix {
                listener,
                path: Some(path.clone()),
            })
        }
    }
}

/// Every interface: one socket for IPv6 and IPv4, or IPv4 alone where there is no IPv6.
fn everywhere(port: u16) -> io::Result<TcpListener> {
    match tcp(SocketAddr::from(([0_u16; 8], port))) {
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
            tcp(SocketAddr::from(([0_u8; 4], port)))
        }
        bound => bound,
    }
}

fn first_of(addresses: impl Iterator<Item = SocketAddr>) -> io::Result<TcpListener> {
    let mut failure = io::Error::new(io::ErrorKind::AddrNotAvailable, "no address");
    for address in addresses {
        match tcp(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        // An explicit IPv6 address is itself alone; the wildcard takes IPv4 too.
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    // A restart must not wait for the connections of the process before.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Removes the socket of a process that has ended.
fn clear_place(path: &Path, listen: &Listen) -> Result<(), SocketError> {
    let failed = |source| SocketError::Bind {
        listen: listen.clone(),
        source,
    };
    let metadata = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    if !metadata.file_type().is_socket() {
        return Err(SocketError::NotASocket {
            path: path.to_owned(),
        });
    }
    if UnixStream::connect(path).is_ok() {
        return Err(SocketError::Taken {
            path: path.to_owned(),
        });
    }
    std::fs::remove_file(path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port_of(bound: Bound) -> (SocketAddr, TcpListener) {
        let Bound::Tcp(listener) = bound else {
            panic!("{bound:?}")
        };
        (listener.local_addr().unwrap(), listener)
    }

    #[test]
    fn no_host_means_every_interface_in_both_families() {
        let (address, _listener) = port_of(
            bind(&Listen::Tcp {
                host: None,
                port: 0,
            })
            .unwrap(),
        );
        assert!(address.ip().is_unspecified());
        std::net::TcpStream::connect(("127.0.0.1", address.port())).unwrap();
    }

    #[test]
    fn a_taken_port_is_an_error_that_names_the_address() {
        let local = |port| Listen::Tcp {
            host: Some("127.0.0.1".to_owned()),
            port,
        };
        let (address, _listener) = port_of(bind(&local(0)).unwrap());
        let error = bind(&local(address.port())).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot listen at {address}"));
    }

    #[test]
    fn an_old_socket_goes_but_a_file_or_a_living_one_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let listen = Listen::Unix(path.clone());
        let first = bind(&listen).unwrap();
        assert!(matches!(bind(&listen), Err(SocketError::Taken { .. })));
        drop(first);
        drop(bind(&listen).unwrap());
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "precious").unwrap();
        assert!(matches!(bind(&listen), Err(SocketError::NotASocket { .. })));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    }
}
