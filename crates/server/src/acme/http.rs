//! The listener for HTTP-01: plain HTTP for everybody, which answers challenges and nothing else.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio_util::sync::CancellationToken;

use super::Acme;
use super::challenge::ChallengeError;
use crate::error::chain;
use crate::listener::{Acceptor, Socket, serve_few};
use crate::stream::Stream;

/// Connections at a time; more wait.
const CONNECTIONS_MAX: usize = 64;
/// For a whole connection, which has one request.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of the head of a request, and of what waits to be sent, at most.
const BUFFER_BYTES: usize = 8 << 10;

/// Where a challenge is asked for (RFC 8555 §8.3).
const PATH: &str = "/.well-known/acme-challenge/";

impl Acme {
    /// Answers challenges until `stop`. A socket that cannot be used is logged: the registry goes
    /// on with the certificates that it has.
    pub async fn answer_over_http(self: Arc<Self>, socket: Socket, stop: CancellationToken) {
        let acceptor = match Acceptor::new(socket) {
            Ok(acceptor) => acceptor,
            Err(error) => {
                tracing::error!(%error, "challenges of ACME cannot be answered over HTTP");
                return;
            }
        };
        serve_few(acceptor, CONNECTIONS_MAX, stop, |stream| {
            let served = tokio::time::timeout(TIMEOUT, connection(stream, Arc::clone(&self)));
            // Whoever takes longer is told nothing.
            async move { drop(served.await) }
        })
        .await;
    }
}

async fn connection(stream: Stream, acme: Arc<Acme>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let acme = Arc::clone(&acme);
        async move { Ok::<_, Infallible>(answer(&request, &acme).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(TIMEOUT)
        .keep_alive(false)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection for a challenge of ACME ended");
    }
}

async fn answer<B>(request: &Request<B>, acme: &Acme) -> Response<Full<Bytes>> {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let token = request.uri().path().strip_prefix(PATH);
    let (status, text) = match token.filter(|_| is_read) {
        None => (
            StatusCode::NOT_FOUND,
            "Only challenges of ACME are answered here; the registry speaks HTTPS.\n".to_owned(),
        ),
        Some(token) => match acme.prove_over_http(token).await {
            Ok(key_authorization) => (StatusCode::OK, key_authorization),
            Err(ChallengeError::NotAsked) => (
                StatusCode::NOT_FOUND,
                "There is no such challenge.\n".to_owned(),
            ),
            Err(error) => {
                let problem = chain(&error);
                tracing::error!(problem, "a challenge of ACME cannot be answered");
                (
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "The challenge cannot be looked up.\n".to_owned(),
                )
            }
        },
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}
