//! Connections, with and without TLS.
//!
//! Over TLS the client offers version 1.3 with TLS_AES_128_GCM_SHA256 and nothing else, so that
//! every server works with the same cipher.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::Command;
use std::sync::Arc;
use std::task::{Context, Poll};

use anyhow::{Context as _, Result, ensure};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The name in the certificate.
const NAME: &str = "localhost";

/// Room for several of the loopback's packets, which are 64 KiB: with the system's first window
/// the end of an answer that is a little longer waits for a late acknowledgement, 40 ms.
const RECEIVE_BYTES: u32 = 1 << 20;

/// A certificate made for one run, and a client that trusts it.
#[derive(Clone)]
pub(crate) struct Certificate {
    /// PEM file of the certificate.
    pub(crate) certificate: PathBuf,
    /// PEM file of its key.
    pub(crate) key: PathBuf,
    connector: TlsConnector,
}

impl Certificate {
    /// Makes one by `openssl`.
    ///
    /// # Errors
    /// Where there is no `openssl`, or it refuses.
    pub(crate) fn make(directory: &Path) -> Result<Self> {
        let certificate = directory.join("certificate.pem");
        let key = directory.join("key.pem");
        run_openssl(
            Command::new("openssl")
                .args(["req", "-x509", "-newkey", "ec", "-pkeyopt"])
                .args(["ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
                .args(["-subj", "/CN=localhost"])
                .args(["-addext", "subjectAltName=DNS:localhost"])
                .args(["-addext", "basicConstraints=critical,CA:FALSE"])
                .arg("-out")
                .arg(&certificate)
                .arg("-keyout")
                .arg(&key),
        )?;
        Ok(Self {
            connector: connector(&certificate, None)?,
            certificate,
            key,
        })
    }

    /// The same, with which the client shows the certificate of this file, whose key is in another.
    ///
    /// # Errors
    /// Of the files.
    pub(crate) fn showing(&self, certificate: &Path, key: &Path) -> Result<Self> {
        Ok(Self {
            connector: connector(&self.certificate, Some((certificate, key)))?,
            ..self.clone()
        })
    }
}

/// Runs `openssl` to its end.
///
/// # Errors
/// Where there is no `openssl`, or it refuses.
pub(crate) fn run_openssl(command: &mut Command) -> Result<()> {
    let output = command.output().context("cannot start openssl")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "openssl made no certificate: {said}"
    );
    Ok(())
}

fn connector(certificate: &Path, shown: Option<(&Path, &Path)>) -> Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate)?)?;
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites = vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256];
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots);
    let config = match shown {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => config.with_client_auth_cert(
            vec![CertificateDer::from_pem_file(certificate)?],
            PrivateKeyDer::from_pem_file(key)?,
        )?,
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Where a server listens, and how it is spoken to.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) tls: Option<Certificate>,
}

impl Target {
    /// A new connection.
    ///
    /// # Errors
    /// Where nobody listens or the handshake fails.
    pub(crate) async fn connect(&self) -> Result<Stream> {
        self.connect_with(RECEIVE_BYTES).await
    }

    /// The same with another room for what was received and not yet read.
    ///
    /// # Errors
    /// Those of [`Target::connect`].
    pub(crate) async fn connect_with(&self, receive_bytes: u32) -> Result<Stream> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(receive_bytes)?;
        self.connect_by(socket).await
    }

    /// A new connection from this address of the machine.
    ///
    /// # Errors
    /// Those of [`Target::connect`]; an address that is not one of the machine's.
    pub(crate) async fn connect_from(&self, address: Ipv4Addr) -> Result<Stream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((address, 0).into())?;
        self.connect_by(socket).await
    }

    async fn connect_by(&self, socket: TcpSocket) -> Result<Stream> {
        let plain = socket
            .connect(self.address)
            .await
            .with_context(|| format!("cannot connect to {}", self.address))?;
        plain.set_nodelay(true)?;
        let Some(tls) = &self.tls else {
            return Ok(Stream::Plain(plain));
        };
        let stream = tls
            .connector
            .connect(ServerName::try_from(NAME)?, plain)
            .await
            .with_context(|| format!("no TLS with {}", self.address))?;
        Ok(Stream::Tls(Box::new(stream)))
    }
}

/// A connection.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
