//! The debug server: plain HTTP for the operator's own machines, `/debug/health` and nothing else.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio_util::sync::CancellationToken;

use crate::health::Health;
use crate::listener::{Acceptor, Socket, serve_few};
use crate::stream::Stream;

/// Connections at a time; more wait.
const CONNECTIONS_MAX: usize = 16;
/// For the head of a request, and for a connection between two.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves until `stop`. A socket that cannot be used is logged: the registry goes on without it.
pub async fn serve(socket: Socket, health: Arc<Health>, stop: CancellationToken) {
    let acceptor = match Acceptor::new(socket) {
        Ok(acceptor) => acceptor,
        Err(error) => {
            tracing::error!(%error, "the debug server cannot be started");
            return;
        }
    };
    serve_few(acceptor, CONNECTIONS_MAX, stop, |stream| {
        connection(stream, Arc::clone(&health))
    })
    .await;
}

async fn connection(stream: Stream, health: Arc<Health>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = answer(&request, &health);
        async move { Ok::<_, Infallible>(answer) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection to the debug server ended");
    }
}

fn answer(request: &Request<Incoming>, health: &Health) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    if request.uri().path() != "/debug/health" {
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    }
    if *request.method() != Method::GET && *request.method() != Method::HEAD {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let (well, report) = health.report();
    if !well {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    *response.body_mut() = Full::new(Bytes::from(format!("{report}\n")));
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;

    async fn said(address: std::net::SocketAddr, request: &str) -> String {
        let mut client = TcpStream::connect(address).await.unwrap();
        let request = format!("{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn it_tells_the_health_and_nothing_else() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (health, stop) = (Arc::new(Health::new()), CancellationToken::new());
        let serving = serve(Socket::Tcp(listener), Arc::clone(&health), stop.clone());
        let serving = tokio::spawn(serving);
        for (request, status) in [
            ("GET /debug/health", "200 OK"),
            ("HEAD /debug/health", "200 OK"),
            ("POST /debug/health", "405 Method Not Allowed"),
            ("GET /", "404 Not Found"),
            ("GET /debug/pprof/", "404 Not Found"),
            ("GET /v2/", "404 Not Found"),
        ] {
            let answer = said(address, request).await;
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status}\r\n")),
                "{request}: {answer}"
            );
        }
        assert!(
            said(address, "GET /debug/health")
                .await
                .ends_with("\r\n\r\n{}\n")
        );
        health.fail("storagedriver_filesystem");
        let answer = said(address, "GET /debug/health").await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(
            answer.contains("{\"storagedriver_filesystem\":\""),
            "{answer}"
        );

        // An idle connection does not hold up the stop.
        let idle = TcpStream::connect(address).await.unwrap();
        stop.cancel();
        serving.await.unwrap();
        drop(idle);
        assert!(TcpStream::connect(address).await.is_err());
    }
}
