//! One request and its answer, on a connection of its own.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::header::{ACCEPT, CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::roots::Roots;
use super::{Allowed, EgressSettings, FetchError, HttpUrl, MAX_BYTES, RootsError, address, chain};

/// Fetches documents.
pub(crate) struct Fetcher {
    allow: Vec<Allowed>,
    resolver: Box<dyn Resolve>,
    roots: Roots,
    tls: ArcSwap<ClientConfig>,
}

/// An answer, whatever its status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// Finds addresses by names.
pub(super) trait Resolve: Send + Sync {
    /// The addresses of a host.
    fn resolve<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>>;
}

/// The system's way.
struct System;

/// For everything from the look-up to the last byte.
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// For one address to answer, where a host has several.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// Addresses that are tried.
const MAX_ADDRESSES: usize = 8;
/// Bytes of an answer's headers at most.
const MAX_HEADERS: usize = 64 << 10;

impl Fetcher {
    /// Sets up fetches that trust the authorities in `only`, or, where it is absent, the system's
    /// and those of the settings. Reads files, so it blocks.
    ///
    /// # Errors
    /// A file has no certificates. Later the files are read again before each fetch, and a broken
    /// one changes nothing.
    pub(crate) fn new(egress: &EgressSettings, only: Option<PathBuf>) -> Result<Self, RootsError> {
        let roots = Roots {
            only,
            besides: egress.ca.clone(),
        };
        let tls = ArcSwap::new(roots.load()?);
        Ok(Self {
            allow: egress.allow.clone(),
            resolver: Box::new(System),
            roots,
            tls,
        })
    }

    /// Asks for a document and takes whatever comes.
    pub(crate) async fn ask(&self, url: &HttpUrl) -> Result<Answer, FetchError> {
        self.send(url, Request::get(url.path_and_query()), Bytes::new())
            .await
    }

    /// Fetches a document.
    pub(crate) async fn get(&self, url: &HttpUrl) -> Result<Vec<u8>, FetchError> {
        let answer = self.ask(url).await?;
        let url = || url.to_string();
        match answer.status {
            StatusCode::OK => Ok(answer.body),
            status if status.is_redirection() => Err(FetchError::Redirected { url: url() }),
            status => Err(FetchError::Status {
                url: url(),
                status: status.as_u16(),
            }),
        }
    }

    /// Sends a form and takes whatever comes, redirects excepted.
    pub(crate) async fn post_form(
        &self,
        url: &HttpUrl,
        fields: &[(&str, &str)],
    ) -> Result<Answer, FetchError> {
        let request = Request::post(url.path_and_query())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let answer = self.send(url, request, form(fields).into()).await?;
        if answer.status.is_redirection() {
            let url = url.to_string();
            return Err(FetchError::Redirected { url });
        }
        Ok(answer)
    }

    async fn send(
        &self,
        url: &HttpUrl,
        request: http::request::Builder,
        body: Bytes,
    ) -> Result<Answer, FetchError> {
        let request = request
            .header(HOST, url.authority())
            .header(USER_AGENT, "roadstead")
            .header(ACCEPT, "application/json")
            .header(CONNECTION, "close")
            .body(Full::new(body))
            .map_err(|_| FetchError::NotAHost {
                host: url.host().to_owned(),
            })?;
        let exchange = async {
            self.reload_roots().await;
            let stream = self.connect(url).await?;
            match url.is_https() {
                true => exchange(url, self.secure(url, stream).await?, request).await,
                false => exchange(url, stream, request).await,
            }
        };
        match tokio::time::timeout(TIME_LIMIT, exchange).await {
            Ok(outcome) => outcome,
            Err(_elapsed) => Err(FetchError::TimedOut),
        }
    }

    /// The authorities of the files as they are now. Fetches are rare enough for it.
    async fn reload_roots(&self) {
        let roots = self.roots.clone();
        let loaded = tokio::task::spawn_blocking(move || roots.load()).await;
        match loaded {
            Ok(Ok(config)) => self.tls.store(config),
            Ok(Err(error)) => {
                let problem = chain(&error);
                tracing::error!(problem, "the trusted authorities of before stay");
            }
            // The process is about to end.
            Err(_cancelled) => {}
        }
    }

    /// Connects to an address that was checked.
    async fn connect(&self, url: &HttpUrl) -> Result<TcpStream, FetchError> {
        let connect = |source| FetchError::Connect {
            host: url.host().to_owned(),
            source,
        };
        let mut failure = io::Error::new(io::ErrorKind::NotFound, "it has no address");
        for address in self.addresses(url).await? {
            let opening = tokio::time::timeout(CONNECT_LIMIT, TcpStream::connect(address));
            let stream = match opening.await {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => {
                    failure = error;
                    continue;
                }
                Err(_elapsed) => {
                    failure = io::ErrorKind::TimedOut.into();
                    continue;
                }
            };
            // Where the connection goes in truth.
            let peer = stream.peer_addr().map_err(connect)?;
            self.check(url, peer)?;
            return Ok(stream);
        }
        Err(connect(failure))
    }

    async fn secure(
        &self,
        url: &HttpUrl,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, FetchError> {
        let host = || url.host().to_owned();
        let name = ServerName::try_from(host());
        let name = name.map_err(|_| FetchError::NotAHost { host: host() })?;
        let tls = TlsConnector::from(self.tls.load_full());
        let secured = tls.connect(name, stream).await;
        secured.map_err(|source| FetchError::Connect {
            host: host(),
            source,
        })
    }

    /// The host's addresses, all of them checked. One that is forbidden spoils the others: whoever
    /// mixes them means no good.
    async fn addresses(&self, url: &HttpUrl) -> Result<Vec<SocketAddr>, FetchError> {
        let mut addresses = match url.address() {
            Some(address) => vec![SocketAddr::new(address, url.port())],
            None => {
                let lookup = self.resolver.resolve(url.host(), url.port());
                lookup.await.map_err(|source| FetchError::Lookup {
                    host: url.host().to_owned(),
                    source,
                })?
            }
        };
        for address in &addresses {
            self.check(url, *address)?;
        }
        addresses.truncate(MAX_ADDRESSES);
        Ok(addresses)
    }

    fn check(&self, url: &HttpUrl, address: SocketAddr) -> Result<(), FetchError> {
        if !url.is_https() && !address.ip().is_loopback() {
            return Err(FetchError::Plain {
                host: url.host().to_owned(),
                address: address.ip(),
            });
        }
        if address::is_allowed(&self.allow, url.host(), address) {
            return Ok(());
        }
        Err(FetchError::Forbidden {
            host: url.host().to_owned(),
            address: address.ip(),
        })
    }

    #[cfg(test)]
    pub(super) fn with_resolver(mut self, resolver: Box<dyn Resolve>) -> Self {
        self.resolver = resolver;
        self
    }
}

impl Resolve for System {
    fn resolve<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}

async fn exchange(
    url: &HttpUrl,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Full<Bytes>>,
) -> Result<Answer, FetchError> {
    let failed = |source| FetchError::Exchange {
        host: url.host().to_owned(),
        source,
    };
    let mut http = hyper::client::conn::http1::Builder::new();
    http.max_buf_size(MAX_HEADERS);
    let (mut sender, connection) = http.handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(failed)?;
        read(url, response).await
    };
    let (mut answer, connection) = (std::pin::pin!(answer), std::pin::pin!(connection));
    tokio::select! {
        answer = &mut answer => answer,
        // What had come before the connection ended is still to be read.
        _ended = connection => answer.await,
    }
}

async fn read(url: &HttpUrl, response: Response<Incoming>) -> Result<Answer, FetchError> {
    let too_large = || FetchError::TooLarge {
        url: url.to_string(),
    };
    let (parts, mut incoming) = response.into_parts();
    if incoming.size_hint().lower() > MAX_BYTES as u64 {
        return Err(too_large());
    }
    let mut body = Vec::new();
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|source| FetchError::Exchange {
            host: url.host().to_owned(),
            source,
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if body.len() + data.len() > MAX_BYTES {
            return Err(too_large());
        }
        body.extend_from_slice(&data);
    }
    Ok(Answer {
        status: parts.status,
        headers: parts.headers,
        body,
    })
}

/// Fields as a browser sends them.
fn form(fields: &[(&str, &str)]) -> String {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    let encode = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
    let pairs: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect();
    pairs.join("&")
}
