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
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::health::Health;
use crate::listener::{Acceptor, Socket, Stream};

/// Connections at a time; more wait.
const CONNECTIONS_MAX: usize = 16;
/// For the head of a request, and for a connection between two.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves until `stop`. A socket that cannot be used is logged: the registry goes on without it.
pub async fn serve(socket: Socket, health: Arc<Health>, stop: CancellationToken) {
    let mut acceptor = match Acceptor::new(socket) {
        Ok(acceptor) => acceptor,
        Err(error) => {
            tracing::error!(%error, "the debug server cannot be started");
            return;
        }
    };
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accept = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (acceptor.accept().await, place)
        };
        let ((stream, _), place) = tokio::select! {
            () = stop.cancelled() => return,
            accepted = accept => accepted,
        };
        let (health, stop) = (Arc::clone(&health), stop.clone());
        tokio::spawn(async move {
            let _place = place;
            tokio::select! {
                () = stop.cancelled() => {}
                () = connection(stream, health) => {}
            }
        });
    }
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
    if health.failing() {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    *response.body_mut() = Full::new(Bytes::from(format!("{}\n", health.report())));
    response
}
