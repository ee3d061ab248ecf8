//! From a connection's first byte to one that is encrypted.
//!
//! The first byte is looked at and left where it is: clear text is answered in clear text.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use roadstead_auth::ClientCertificate;
use rustls::server::Acceptor;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::{InForce, Tls};
use crate::acme::challenge;
use crate::outgoing::Outgoing;
use crate::pace::Pace;
use crate::stream::Stream;

/// A connection that is encrypted.
pub(crate) struct Secured {
    pub(crate) stream: TlsStream<Outgoing<Stream>>,
    /// Whether HTTP/2 was agreed on.
    pub(crate) is_http2: bool,
    pub(crate) holder: Holder,
}

/// Who is at the other end of a connection, as far as TLS can tell.
#[derive(Debug, Clone, Default)]
pub(crate) struct Holder(Option<Arc<ClientCertificate>>);

const CLEARTEXT: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 48\r\n\
    Connection: close\r\n\r\n\
    Client sent an HTTP request to an HTTPS server.\n";

/// What is read and thrown away of clear text, and for how long, so that the client gets to its
/// answer before the connection is closed.
const LINGER_BYTES: u64 = 64 << 10;
const LINGER: Duration = Duration::from_secs(1);

impl Tls {
    /// Shakes hands. None where there is nothing to serve: a request in clear text was refused, or
    /// an ACME server has seen what it asked for. The caller bounds the time.
    ///
    /// # Errors
    /// Those of the connection, and of a client that nothing can be agreed on with.
    pub(crate) async fn accept(&self, stream: Stream, pace: Pace) -> io::Result<Option<Secured>> {
        let first = stream.peek().await?;
        let mut stream = Outgoing::new(stream, pace);
        match first {
            None => return Ok(None),
            // Methods are upper case, and so is the preface of HTTP/2.
            Some(byte) if byte.is_ascii_uppercase() => {
                refuse_cleartext(&mut stream).await?;
                return Ok(None);
            }
            // What is neither is refused by TLS, in its own words.
            Some(_) => {}
        }
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        if let Some(name) = challenge::asked(&start.client_hello())
            && let Some(acme) = self.acme()
        {
            let proof = acme.prove_over_tls(&name).await.map_err(io::Error::other)?;
            start.into_stream(proof).await?.shutdown().await?;
            return Ok(None);
        }
        let in_force = self.shared.in_force.load_full();
        let stream = start.into_stream(Arc::clone(&in_force.config)).await?;
        let connection = stream.get_ref().1;
        let is_http2 = connection.alpn_protocol() == Some(b"h2");
        let holder = in_force.holder(connection);
        Ok(Some(Secured {
            stream,
            is_http2,
            holder,
        }))
    }
}

impl InForce {
    /// Who the client is, where its certificate was verified.
    fn holder(&self, connection: &rustls::ServerConnection) -> Holder {
        if !self.verifies {
            return Holder::default();
        }
        let chain = connection.peer_certificates().unwrap_or_default();
        let read = chain.first().map(|leaf| ClientCertificate::parse(leaf));
        match read.transpose() {
            Ok(certificate) => {
                if let Some(certificate) = &certificate {
                    let subject = certificate.subject.as_str();
                    tracing::debug!(subject, "a client is known by its certificate");
                }
                Holder(certificate.map(Arc::new))
            }
            Err(error) => {
                let problem = crate::error::chain(&error);
                tracing::info!(
                    problem,
                    "a client is nobody although its certificate was verified"
                );
                Holder::default()
            }
        }
    }
}

impl Holder {
    /// The verified certificate, until it expires: connections may be open for longer.
    pub(crate) fn certificate(&self) -> Option<Arc<ClientCertificate>> {
        let certificate = self.0.as_ref()?;
        let is_current = certificate.is_current(SystemTime::now());
        is_current.then(|| Arc::clone(certificate))
    }
}

/// Answers a request in clear text, and waits a little for its client to read that.
async fn refuse_cleartext(stream: &mut Outgoing<Stream>) -> io::Result<()> {
    tracing::debug!("a request in clear text came where TLS is spoken");
    stream.write_all(CLEARTEXT).await?;
    stream.shutdown().await?;
    let mut rest = stream.take(LINGER_BYTES);
    let mut nowhere = tokio::io::sink();
    let thrown_away = tokio::io::copy(&mut rest, &mut nowhere);
    match tokio::time::timeout(LINGER, thrown_away).await {
        Ok(Ok(_)) | Err(_) => Ok(()),
        Ok(Err(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests;
