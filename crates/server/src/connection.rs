//! One connection: TLS, the choice of protocol, its requests, its end.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use crate::activity::Activity;
use crate::app::App;
use crate::limits::Limits;
use crate::outgoing::Outgoing;
use crate::pace::Pace;
use crate::paced::{Paced, Protocol};
use crate::perimeter::client::{Arrived, PeerAddress};
use crate::service::{self, Peer};
use crate::stream::{Direct, Stream};
use crate::tls::{Holder, Secured, Tls};

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
    mut stream: Stream,
    peer: PeerAddress,
    stop: CancellationToken,
) {
    let limits = &serving.limits;
    // One budget for whatever comes before HTTP.
    let in_time = tokio::time::Instant::now() + limits.tls_handshake_timeout;
    let arrival = async {
        let arrival = Arrived::from(peer, serving.app.perimeter.proxies(), &mut stream);
        let arrival = tokio::time::timeout_at(in_time, arrival);
        arrival.await.map_err(|_| io::ErrorKind::TimedOut)?
    };
    let Some(arrived) = before_requests(arrival, &stop).await else {
        return;
    };
    let Some(tls) = &serving.tls else {
        let direct = stream.direct();
        let stream = Outgoing::new(stream, limits.pace());
        let mut paced = Paced::new(stream, limits);
        let protocol = if serving.h2c {
            before_requests(paced.sniff(), &stop).await
        } else {
            Some(Protocol::Http1)
        };
        if let Some(protocol) = protocol {
            // Frames of HTTP/2 are cut by the library, and under TLS nothing can be sent unread.
            let direct = (protocol == Protocol::Http1).then_some(direct);
            let origin = Origin {
                arrived,
                direct,
                holder: Holder::default(),
            };
            run(&serving, paced, protocol, origin, stop).await;
        }
        return;
    };
    let handshake = async {
        let handshake = tls.accept(stream, limits.pace());
        let handshake = tokio::time::timeout_at(in_time, handshake);
        handshake.await.map_err(|_| io::ErrorKind::TimedOut)?
    };
    // Its many states are held for no longer than it takes.
    let secured = before_requests(Box::pin(handshake), &stop).await.flatten();
    if let Some(Secured {
        stream,
        is_http2,
        holder,
    }) = secured
    {
        let protocol = if is_http2 {
            Protocol::Http2
        } else {
            Protocol::Http1
        };
        let origin = Origin {
            arrived: arrived.secured(),
            direct: None,
            holder,
        };
        run(&serving, Paced::new(stream, limits), protocol, origin, stop).await;
    }
}

/// What comes before the first request; nobody waits for it after `stop`.
async fn before_requests<T>(
    step: impl Future<Output = io::Result<T>>,
    stop: &CancellationToken,
) -> Option<T> {
    tokio::select! {
        () = stop.cancelled() => None,
        outcome = step => outcome
            .inspect_err(|error| tracing::debug!(%error, "a connection ended before its first request"))
            .ok(),
    }
}

/// Where a connection comes from, and what its bytes may go past.
struct Origin {
    arrived: Arrived,
    direct: Option<Arc<Direct>>,
    holder: Holder,
}

async fn run<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    serving: &Serving,
    mut paced: Paced<S>,
    protocol: Protocol,
    origin: Origin,
    stop: CancellationToken,
) {
    paced.speak(protocol);
    let limits = &serving.limits;
    let activity = paced.activity();
    let peer = Arc::new(Peer {
        app: Arc::clone(&serving.app),
        arrived: origin.arrived,
        direct: origin.direct,
        holder: origin.holder,
        activity: Arc::clone(&activity),
        pace: limits.pace(),
    });
    let service =
        service_fn(move |request: Request<Incoming>| service::answer(Arc::clone(&peer), request));
    let io = TokioIo::new(paced);
    let ended = match protocol {
        Protocol::Http1 => {
            let connection = pin!(http1_builder(limits).serve_connection(io, service));
            let watch = std::future::pending();
            drive(
                connection,
                http1::Connection::graceful_shutdown,
                watch,
                stop,
            )
            .await
        }
        Protocol::Http2 => {
            let connection = pin!(http2_builder(limits).serve_connection(io, service));
            let watch = watch(&activity, limits);
            drive(
                connection,
                http2::Connection::graceful_shutdown,
                watch,
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
        .max_header_size(limits.max_header_bytes)
        .max_buf_size((limits.max_header_bytes * 2).max(BUFFER_BYTES));
    // For the number that it has anyway hyper keeps the fields of a head on the stack.
    if limits.max_headers != HYPER_HEADERS_MAX {
        builder.max_headers(limits.max_headers);
    }
    builder
}

fn http2_builder(limits: &Limits) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.max_streams)
        .max_header_list_size(u32::try_from(limits.max_header_bytes).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(RESETS_MAX)
        .max_local_error_reset_streams(LOCAL_RESETS_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(BUFFER_BYTES)
        .keep_alive_interval(limits.idle_timeout)
        .keep_alive_timeout(limits.header_timeout);
    builder
}

/// Header fields of a request that hyper takes unless it is told otherwise.
const HYPER_HEADERS_MAX: usize = 100;
/// Bytes of a connection that wait to be read or written.
const BUFFER_BYTES: usize = 64 << 10;
/// Bytes that one HTTP/2 request may send ahead, and all of a connection together.
const STREAM_WINDOW_BYTES: u32 = 256 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 1 << 20;
/// Streams that were reset and not yet looked at, before the connection is given up.
const RESETS_MAX: usize = 20;

/// Streams that were reset from this side in the whole life of a connection: refused ones too,
/// which an honest client may open before it has heard of the bound.
const LOCAL_RESETS_MAX: usize = 1024;

/// Why a connection is ended from this side.
enum Verdict {
    /// Nothing happens on it.
    Idle,
    /// Its client does not take what it asked for.
    TooSlow,
}

/// Polls a connection to its end, and lets it end after `stop` or by the verdict of `watch`.
async fn drive<C: Future<Output = hyper::Result<()>>>(
    mut connection: Pin<&mut C>,
    end: fn(Pin<&mut C>),
    watch: impl Future<Output = Verdict>,
    stop: CancellationToken,
) -> hyper::Result<()> {
    let mut watch = pin!(watch);
    let mut ending = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => return ended,
            () = stop.cancelled(), if !ending => {
                ending = true;
                end(connection.as_mut());
            }
            verdict = watch.as_mut(), if !ending => match verdict {
                Verdict::Idle => {
                    ending = true;
                    end(connection.as_mut());
                }
                Verdict::TooSlow => {
                    tracing::debug!("a client took its answers too slowly");
                    return Ok(());
                }
            }
        }
    }
}

/// Watches an HTTP/2 connection, where a client can hold answers back without holding back the
/// connection's bytes, and where it may well be idle and yet answer pings.
async fn watch(activity: &Activity, limits: &Limits) -> Verdict {
    tokio::select! {
        () = idle(activity, limits.idle_timeout) => Verdict::Idle,
        () = too_slow(activity, limits.pace()) => Verdict::TooSlow,
    }
}

/// Returns when no request came or went for so long.
async fn idle(activity: &Activity, timeout: Duration) {
    let mut before = activity.begun();
    loop {
        tokio::time::sleep(timeout).await;
        let now = activity.begun();
        if activity.is_idle() && now == before {
            return;
        }
        before = now;
    }
}

/// Returns when an answer was on its way for a whole window and hardly anything of it was taken.
async fn too_slow(activity: &Activity, pace: Pace) {
    if pace.bytes == 0 {
        return std::future::pending().await;
    }
    let (mut before, mut was_sending) = (activity.sent_bytes(), activity.is_sending());
    loop {
        tokio::time::sleep(pace.window).await;
        let (now, is_sending) = (activity.sent_bytes(), activity.is_sending());
        if was_sending && is_sending && now - before < pace.bytes {
            return;
        }
        (before, was_sending) = (now, is_sending);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const PACE: Pace = Pace {
        window: Duration::from_secs(60),
        bytes: 61_440,
    };

    async fn within<F: Future<Output = ()>>(seconds: u32, watch: F) -> bool {
        tokio::time::timeout(SECOND * seconds, watch).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_when_no_request_came_for_the_whole_time() {
        let activity = Arc::new(Activity::default());
        assert!(within(76, idle(&activity, SECOND * 75)).await);
        let request = activity.request();
        assert!(!within(1_000, idle(&activity, SECOND * 75)).await);
        drop(request);
        let requests = async {
            loop {
                drop(activity.request());
                tokio::time::sleep(SECOND * 70).await;
            }
        };
        tokio::select! {
            () = idle(&activity, SECOND * 75) => panic!("it was not idle"),
            () = requests => {}
            () = tokio::time::sleep(SECOND * 1_000) => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn answers_that_nobody_takes_are_noticed() {
        let activity = Arc::new(Activity::default());
        assert!(!within(1_000, too_slow(&activity, PACE)).await);
        let sending = activity.sending();
        assert!(within(61, too_slow(&activity, PACE)).await);
        assert!(!within(1_000, too_slow(&activity, Pace { bytes: 0, ..PACE })).await);
        let taking = async {
            loop {
                tokio::time::sleep(SECOND * 10).await;
                activity.sent(13_000);
            }
        };
        tokio::select! {
            () = too_slow(&activity, PACE) => panic!("it was fast enough"),
            () = taking => {}
            () = tokio::time::sleep(SECOND * 1_000) => {}
        }
        drop(sending);
    }
}
