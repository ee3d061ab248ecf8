//! A well-behaved HTTP/2 client, over cleartext by prior knowledge or over TLS.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, Method, Request};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{
    ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion,
};

use super::SOON;

/// One connection.
pub(crate) struct Http2 {
    runtime: Runtime,
    sender: SendRequest<Bytes>,
}

/// The whole answer to a request.
#[derive(Debug)]
pub(crate) struct Http2Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// What a TLS handshake came to.
pub(crate) struct Handshake {
    pub(crate) protocol: Option<Vec<u8>>,
    pub(crate) version: Option<ProtocolVersion>,
}

impl Http2 {
    /// Connects in cleartext.
    pub(crate) fn connect(address: SocketAddr) -> Result<Self, h2::Error> {
        let runtime = runtime();
        let stream = runtime.block_on(TcpStream::connect(address)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self::on(runtime, stream)
    }

    /// Connects over TLS and checks that HTTP/2 was agreed on.
    pub(crate) fn connect_tls(address: SocketAddr) -> Self {
        let runtime = runtime();
        let stream = runtime.block_on(tls(address, &[b"h2"], &[])).unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        Self::on(runtime, stream).unwrap()
    }

    fn on(
        runtime: Runtime,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ) -> Result<Self, h2::Error> {
        // As clients do that do not know yet how many streams the server takes (RFC 9113 §6.5.2).
        let mut builder = h2::client::Builder::new();
        builder.initial_max_send_streams(100);
        let (sender, connection) = runtime.block_on(builder.handshake(stream))?;
        runtime.spawn(async move {
            // How it ends is seen by the requests on it.
            let _ = connection.await;
        });
        Ok(Self { runtime, sender })
    }

    /// Sends a request on a stream of its own and reads the whole answer.
    pub(crate) fn send(
        &self,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Http2Answer, h2::Error> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://registry.test{target}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(()).unwrap();
        let exchange = exchange(self.sender.clone(), request, Bytes::copy_from_slice(body));
        self.runtime.block_on(async {
            tokio::time::timeout(SOON, exchange)
                .await
                .unwrap_or_else(|_| panic!("no answer for {target}"))
        })
    }

    /// Sends these requests at once, each on a stream of its own.
    pub(crate) fn get_all(&self, targets: &[String]) -> Vec<Result<Http2Answer, h2::Error>> {
        let send = |target: &String| {
            let request = Request::get(format!("http://registry.test{target}"))
                .body(())
                .unwrap();
            self.runtime
                .spawn(exchange(self.sender.clone(), request, Bytes::new()))
        };
        let sent: Vec<_> = targets.iter().map(send).collect();
        sent.into_iter()
            .map(|task| self.runtime.block_on(task).unwrap())
            .collect()
    }
}

async fn exchange(
    sender: SendRequest<Bytes>,
    request: Request<()>,
    body: Bytes,
) -> Result<Http2Answer, h2::Error> {
    let mut sender = sender.ready().await?;
    let (response, mut stream) = sender.send_request(request, body.is_empty())?;
    let sending = async {
        let mut rest = body;
        while !rest.is_empty() {
            stream.reserve_capacity(rest.len());
            // The stream may end before all is sent: then there is an answer already.
            let Some(Ok(capacity)) = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await
            else {
                return;
            };
            let part = rest.split_to(capacity.min(rest.len()));
            if stream.send_data(part, rest.is_empty()).is_err() {
                return;
            }
        }
    };
    let (response, ()) = tokio::join!(response, sending);
    let (parts, mut stream) = response?.into_parts();
    let mut body = Vec::new();
    while let Some(data) = stream.data().await {
        let data = data?;
        stream.flow_control().release_capacity(data.len())?;
        body.extend_from_slice(&data);
    }
    Ok(Http2Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body,
    })
}

impl Http2Answer {
    /// Panics unless the status is this one.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(
            self.status,
            status,
            "{self:?} {}",
            String::from_utf8_lossy(&self.body)
        );
        self
    }

    /// The value of a header that must be there.
    pub(crate) fn need(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .unwrap_or_else(|| panic!("no {name}: {self:?}"))
            .to_str()
            .unwrap()
    }
}

/// The certificate for `registry.test` and 127.0.0.1 that tests serve with, and its key.
pub(crate) fn certificate() -> [PathBuf; 2] {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/blackbox/tls");
    [directory.join("certificate.pem"), directory.join("key.pem")]
}

/// Shakes hands, offering these protocols and versions (none: all).
pub(crate) fn shake_hands(
    address: SocketAddr,
    protocols: &[&[u8]],
    versions: &[&'static SupportedProtocolVersion],
) -> std::io::Result<Handshake> {
    let runtime = runtime();
    let stream = runtime.block_on(tls(address, protocols, versions))?;
    let connection = stream.get_ref().1;
    Ok(Handshake {
        protocol: connection.alpn_protocol().map(<[u8]>::to_vec),
        version: connection.protocol_version(),
    })
}

/// Sends bytes over TLS without HTTP/2, and reads to the end of the connection.
pub(crate) fn over_tls(address: SocketAddr, request: &[u8]) -> std::io::Result<Vec<u8>> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    runtime().block_on(async {
        let mut stream = tls(address, &[b"http/1.1"], &[]).await?;
        stream.write_all(request).await?;
        stream.flush().await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok(answer)
    })
}

/// As `over_tls`, with bytes in the clear before the handshake.
pub(crate) fn over_tls_behind(
    address: SocketAddr,
    header: &[u8],
    request: &[u8],
) -> std::io::Result<Vec<u8>> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    runtime().block_on(async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(header).await?;
        let mut stream = tls_over(stream, &[b"http/1.1"], &[]).await?;
        stream.write_all(request).await?;
        stream.flush().await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok(answer)
    })
}

async fn tls(
    address: SocketAddr,
    protocols: &[&[u8]],
    versions: &[&'static SupportedProtocolVersion],
) -> std::io::Result<TlsStream<TcpStream>> {
    tls_over(TcpStream::connect(address).await?, protocols, versions).await
}

async fn tls_over(
    stream: TcpStream,
    protocols: &[&[u8]],
    versions: &[&'static SupportedProtocolVersion],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    let [certificate, _] = certificate();
    roots
        .add(CertificateDer::from_pem_file(certificate).unwrap())
        .unwrap();
    let all = tokio_rustls::rustls::ALL_VERSIONS;
    let versions = if versions.is_empty() { all } else { versions };
    let mut config = ClientConfig::builder_with_protocol_versions(versions)
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let name = ServerName::try_from("registry.test").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}
