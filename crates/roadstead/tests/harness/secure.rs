//! Certificates of a test's own, and a client that looks at what TLS came to.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::{
    ALL_VERSIONS, CipherSuite, ClientConfig, ClientConnection, RootCertStore,
    SupportedProtocolVersion,
};

use super::SOON;

/// A certificate authority.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, both PEM.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// Its own certificate.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for a server of this name.
    pub(crate) fn server(&self, name: &str) -> Pair {
        self.issue(CertificateParams::new([name.to_owned()]).unwrap())
    }

    /// A certificate for a client with this common name.
    pub(crate) fn client(&self, name: &str) -> Pair {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        self.issue(params)
    }

    pub(crate) fn issue(&self, params: CertificateParams) -> Pair {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Pair {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }
}

impl Pair {
    /// The certificate as it goes over the wire.
    pub(crate) fn der(&self) -> Vec<u8> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes())
            .unwrap()
            .to_vec()
    }
}

/// What a client trusts, shows and offers.
#[derive(Clone)]
pub(crate) struct TlsClient {
    roots: RootCertStore,
    shown: Option<Pair>,
    is_checked: bool,
    versions: Vec<&'static SupportedProtocolVersion>,
    suites: Vec<CipherSuite>,
}

impl TlsClient {
    /// Trusts these authorities, shows nothing and offers everything.
    pub(crate) fn trusting(pem: &str) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            roots.add(certificate.unwrap()).unwrap();
        }
        Self {
            roots,
            shown: None,
            is_checked: true,
            versions: ALL_VERSIONS.to_vec(),
            suites: Vec::new(),
        }
    }

    pub(crate) fn showing(mut self, pair: &Pair) -> Self {
        self.shown = Some(pair.clone());
        self
    }

    /// Shows a certificate with a key that may be another one's.
    pub(crate) fn showing_unchecked(mut self, pair: &Pair) -> Self {
        self.shown = Some(pair.clone());
        self.is_checked = false;
        self
    }

    pub(crate) fn of_version(mut self, version: &'static SupportedProtocolVersion) -> Self {
        self.versions = vec![version];
        self
    }

    pub(crate) fn offering(mut self, suites: &[CipherSuite]) -> Self {
        self.suites = suites.to_vec();
        self
    }

    /// Shakes hands with the server of this name. In TLS 1.3 the server looks at what a client
    /// shows only after that: the first request tells.
    pub(crate) fn connect(&self, address: SocketAddr, name: &str) -> io::Result<Secure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let mut provider = aws_lc_rs::default_provider();
        if !self.suites.is_empty() {
            let offered = |suite: &CipherSuite| self.suites.contains(suite);
            provider
                .cipher_suites
                .retain(|suite| offered(&suite.suite()));
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&self.versions)
            .map_err(io::Error::other)?
            .with_root_certificates(self.roots.clone());
        let mut config = match &self.shown {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let chain = CertificateDer::pem_slice_iter(pair.certificate.as_bytes())
                    .map(Result::unwrap)
                    .collect();
                let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
                let key = aws_lc_rs::sign::any_supported_type(&key).unwrap();
                let shown = CertifiedKey::new(chain, key);
                if self.is_checked {
                    shown.keys_match().unwrap();
                }
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(shown)))
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let stream = runtime.block_on(async {
            let stream = TcpStream::connect(address).await?;
            let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
            tokio::time::timeout(SOON, connecting).await?
        })?;
        Ok(Secure {
            runtime,
            stream: BufReader::new(stream),
        })
    }

    /// Connects and asks once.
    pub(crate) fn ask(&self, address: SocketAddr, name: &str, path: &str) -> io::Result<u16> {
        self.connect(address, name)?.ask(path)
    }
}

/// An encrypted connection on which requests follow each other.
pub(crate) struct Secure {
    runtime: Runtime,
    stream: BufReader<TlsStream<TcpStream>>,
}

impl Secure {
    /// The status of a GET.
    pub(crate) fn ask(&mut self, path: &str) -> io::Result<u16> {
        self.get(path).map(|(status, _)| status)
    }

    /// The status of a GET, and what comes with it.
    pub(crate) fn get(&mut self, path: &str) -> io::Result<(u16, Vec<u8>)> {
        let stream = &mut self.stream;
        self.runtime
            .block_on(async { tokio::time::timeout(SOON, get(stream, path)).await? })
    }

    /// The server's certificate.
    pub(crate) fn certificate(&self) -> Vec<u8> {
        self.connection().peer_certificates().unwrap()[0].to_vec()
    }

    pub(crate) fn connection(&self) -> &ClientConnection {
        self.stream.get_ref().get_ref().1
    }
}

async fn get(
    stream: &mut BufReader<TlsStream<TcpStream>>,
    path: &str,
) -> io::Result<(u16, Vec<u8>)> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: registry.test\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let (mut status, mut length) = (None, 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if status.is_none() {
            status = line.split(' ').nth(1).and_then(|word| word.parse().ok());
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().map_err(io::Error::other)?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let status = status.ok_or(io::ErrorKind::InvalidData)?;
    Ok((status, body))
}
