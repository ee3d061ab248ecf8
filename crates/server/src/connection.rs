//! One connection: TLS, the choice of protocol, its requests, its end.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use crate::activity::Activity;
use crate::app::App;
use crate::body::{Pace, ResponseBody};
use crate::limits::Limits;
use crate::listener::Stream;
use crate::paced::{Paced, Protocol};
use crate::service::{self, Peer};
use crate::tls::Tls;

/// What all connections share.
pub(crate) struct Serving {
    pub(crate) app: Arc<App>,
    pub(crate) limits: Limits,
    pub(crate) tls: Option<Tls>,
    pub(crate) h2c: bool,
}

/// Serves a connection to its end; after `stop` it takes no new requests.
pub(crate) async fn serve(
    serving: Arc<Serving>,
    stream: Stream,
    address: Arc<str>,
    stop: CancellationToken,
) {
    let Some(tls) = &serving.tls else {
        let mut paced = Paced::new(stream, &serving.limits);
        let protocol = if serving.h2c {
            paced.sniff().await
        } else {
            Ok(Protocol::Http1)
        };
        match protocol {
            Ok(protocol) => run(&serving, paced, protocol, address, stop).await,
            Err(error) => tracing::debug!(%error, "a connection ended before its first request"),
        }
        return;
    };
    let handshake = tls.acceptor.accept(stream);
    let stream = match tokio::time::timeout(serving.limits.tls_handshake_timeout, handshake).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            return;
        }
        Err(_) => {
            tracing::debug!("a TLS handshake took too long");
            return;
        }
    };
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let protocol = if is_http2 {
        Protocol::Http2
    } else {
        Protocol::Http1
    };
    run(
        &serving,
        Paced::new(stream, &serving.limits),
        protocol,
        address,
        stop,
    )
    .await;
}

async fn run<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    serving: &Serving,
    mut paced: Paced<S>,
    protocol: Protocol,
    address: Arc<str>,
    stop: CancellationToken,
) {
    paced.speak(protocol);
    let limits = &serving.limits;
    let pace = Pace {
        window: limits.progress_window,
        bytes: limits.bytes_a_window(),
    };
    let activity = paced.activity();
    let peer = Peer {
        app: Arc::clone(&serving.app),
        address,
        activity,
        pace,
    };
    let (activity, peer) = (Arc::clone(&peer.activity), Arc::new(peer));
    let service = service_fn(move |request: Request<Incoming>| {
        let peer = Arc::clone(&peer);
        async move { Ok::<Response<ResponseBody>, Infallible>(service::answer(peer, request).await) }
    });
    let io = TokioIo::new(paced);
    let ended = match protocol {
        Protocol::Http1 => {
            let connection = http1_builder(limits).serve_connection(io, service);
            let connection = std::pin::pin!(connection);
            drive(
                connection,
                http1::Connection::graceful_shutdown,
                &activity,
                pace,
                stop,
            )
            .await
        }
        Protocol::Http2 => {
            let connection = http2_builder(limits).serve_connection(io, service);
            let connection = std::pin::pin!(connection);
            drive(
                connection,
                http2::Connection::graceful_shutdown,
                &activity,
                pace,
                stop,
            )
            .await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(
            error = &error as &dyn std::error::Error,
            "a connection ended"
        );
    }
}

fn http1_builder(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // One timer for idleness and headers alike: ours tell the two apart.
        .header_read_timeout(None)
        .half_close(true)
        .max_headers(limits.max_headers)
        .max_header_size(limits.max_header_bytes)
        .max_buf_size((limits.max_header_bytes * 2).max(BUFFER_BYTES));
    builder
}

fn http2_builder(limits: &Limits) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.max_streams)
        .max_header_list_size(u32::try_from(limits.max_header_bytes).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(RESETS_MAX)
        .max_local_error_reset_streams(RESETS_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(BUFFER_BYTES)
        .keep_alive_interval(limits.idle_timeout)
        .keep_alive_timeout(limits.header_timeout);
    builder
}

/// Bytes of a connection that wait to be read or written.
const BUFFER_BYTES: usize = 64 << 10;
/// Bytes that one HTTP/2 request may send ahead, and all of a connection together.
const STREAM_WINDOW_BYTES: u32 = 256 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 1 << 20;
/// Streams that were reset and not yet looked at, before the connection is given up.
const RESETS_MAX: usize = 20;

/// Polls a connection to its end, watches the speed of its answers, and lets it end after `stop`.
async fn drive<C: Future<Output = hyper::Result<()>>>(
    mut connection: Pin<&mut C>,
    end: fn(Pin<&mut C>),
    activity: &Activity,
    pace: Pace,
    stop: CancellationToken,
) -> hyper::Result<()> {
    let mut watch = std::pin::pin!(too_slow(activity, pace));
    let mut stopping = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => return ended,
            () = stop.cancelled(), if !stopping => {
                stopping = true;
                end(connection.as_mut());
            }
            () = watch.as_mut() => {
                tracing::debug!("a client read its answer too slowly");
                return Ok(());
            }
        }
    }
}

/// Returns when an answer was on its way for a whole window and hardly anything of it was taken.
async fn too_slow(activity: &Activity, pace: Pace) {
    if pace.bytes == 0 {
        return std::future::pending().await;
    }
    let mut ticks = tokio::time::interval(pace.window);
    ticks.tick().await;
    let (mut before, mut was_sending) = (activity.sent_bytes(), activity.is_sending());
    loop {
        ticks.tick().await;
        let (now, is_sending) = (activity.sent_bytes(), activity.is_sending());
        if was_sending && is_sending && now - before < pace.bytes {
            return;
        }
        (before, was_sending) = (now, is_sending);
    }
}
