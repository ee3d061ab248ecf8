//! Requests to the ACME server: HTTP/1.1 over TLS, one connection each, bounded in time and size.

use std::error::Error as _;
use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, pem};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// For a whole request.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of an answer at most: a certificate with its issuers is a few kilobytes.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Speaks to one ACME server.
pub(super) struct Client {
    connector: TlsConnector,
}

/// Why the ACME server cannot be spoken to.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    #[error("cannot read the certificate authorities in {path}")]
    Authorities {
        path: String,
        #[source]
        source: pem::Error,
    },
    #[error("there is no certificate authority that can be used in {path}")]
    NoAuthority { path: String },
    #[error("TLS cannot be spoken to the ACME server")]
    Tls(#[source] rustls::Error),
    #[error("{0} is not an https URL with a host")]
    Url(String),
    #[error("no connection to {host}")]
    Connect {
        host: String,
        #[source]
        source: io::Error,
    },
    #[error("{host} does not answer within {} seconds", TIMEOUT.as_secs())]
    TimedOut { host: String },
    #[error("{host} does not answer as it should")]
    Http {
        host: String,
        #[source]
        source: hyper::Error,
    },
    #[error("the answer of {host} cannot be read: {reason}")]
    Answer { host: String, reason: String },
}

impl Client {
    /// Trusts the authorities in a file, or those that browsers do.
    pub(super) fn new(authorities: Option<&Path>) -> Result<Self, ClientError> {
        let mut roots = RootCertStore::empty();
        match authorities {
            None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
            Some(file) => {
                let path = || file.display().to_string();
                let certificates = CertificateDer::pem_file_iter(file)
                    .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                    .map_err(|source| ClientError::Authorities {
                        path: path(),
                        source,
                    })?;
                if roots.add_parsable_certificates(certificates).0 == 0 {
                    return Err(ClientError::NoAuthority { path: path() });
                }
            }
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(ClientError::Tls)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
        })
    }
}

impl HttpClient for Client {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let connector = self.connector.clone();
        Box::pin(async move {
            let host = request.uri().host().unwrap_or_default().to_owned();
            let exchange = tokio::time::timeout(TIMEOUT, exchange(connector, request)).await;
            let response = exchange.unwrap_or(Err(ClientError::TimedOut { host }));
            let response = response.map_err(|error| Error::Other(Box::new(error)))?;
            Ok(BytesResponse::from(response))
        })
    }
}

/// The host without the brackets of an address, and the port of an https URL.
fn target(uri: &Uri) -> Option<(String, u16)> {
    let host = uri.host().filter(|host| !host.is_empty())?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let is_https = uri.scheme_str() == Some("https");
    is_https.then(|| (host.to_owned(), uri.port_u16().unwrap_or(443)))
}

async fn exchange(
    connector: TlsConnector,
    mut request: Request<BodyWrapper<Bytes>>,
) -> Result<Response<Full<Bytes>>, ClientError> {
    let uri = request.uri().clone();
    let url = || ClientError::Url(uri.to_string());
    let (host, port) = target(&uri).ok_or_else(url)?;
    let name = ServerName::try_from(host.clone()).map_err(|_| url())?;
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let authority = HeaderValue::from_str(authority).map_err(|_| url())?;
    request.headers_mut().insert(HOST, authority);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = path.parse().map_err(|_| url())?;

    let connect = async {
        let stream = TcpStream::connect((host.as_str(), port)).await?;
        connector.connect(name, stream).await
    };
    let stream = connect.await.map_err(|source| ClientError::Connect {
        host: host.clone(),
        source,
    })?;
    let http = |source| ClientError::Http {
        host: host.clone(),
        source,
    };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(http)?;
    let answer = async {
        let (parts, body) = sender
            .send_request(request)
            .await
            .map_err(http)?
            .into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| ClientError::Answer {
            host: host.clone(),
            reason: error.to_string(),
        })?;
        Ok(Response::from_parts(parts, Full::new(body.to_bytes())))
    };
    // The connection is driven for as long as the answer takes, and goes with it.
    tokio::select! {
        biased;
        answer = answer => answer,
        ended = connection => Err(match ended {
            Err(source) if source.source().is_some() || !source.is_canceled() => http(source),
            _ => ClientError::Answer {
                host: host.clone(),
                reason: "the connection was closed".to_owned(),
            },
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_is_spoken() {
        for (url, expected) in [
            ("https://a.test/dir", Some(("a.test", 443))),
            ("https://a.test:14000/dir?x", Some(("a.test", 14000))),
            ("https://[::1]:1/", Some(("::1", 1))),
            ("http://a.test/", None),
            ("/dir", None),
            ("https:///dir", None),
        ] {
            let found = url.parse().ok().and_then(|uri| target(&uri));
            let expected = expected.map(|(host, port)| (host.to_owned(), port));
            assert_eq!(found, expected, "{url}");
        }
    }

    #[test]
    fn a_file_without_authorities_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.pem");
        assert!(matches!(
            Client::new(Some(&path)),
            Err(ClientError::Authorities { .. })
        ));
        std::fs::write(&path, "nothing").unwrap();
        assert!(matches!(
            Client::new(Some(&path)),
            Err(ClientError::NoAuthority { .. })
        ));
        assert!(Client::new(None).is_ok());
    }
}
