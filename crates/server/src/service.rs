//! From a request of a connection to its answer: identity, strictness, the application, the log.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;

use futures_util::FutureExt as _;
use http::header::{CONNECTION, USER_AGENT};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use roadstead_failpoint::failpoint;
use roadstead_oci::ErrorCode;

use crate::activity::Activity;
use crate::app::{App, Asked};
use crate::body::{RequestBody, ResponseBody};
use crate::error::Failure;
use crate::headers::API_VERSION;
use crate::pace::Pace;
use crate::perimeter::Permit;
use crate::perimeter::client::Arrived;
use crate::record::Recorder;
use crate::request_id::RequestId;
use crate::request_log::Line;
use crate::stream::Direct;
use crate::strict::{self, Ambiguous};
use crate::tls::Holder;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What all requests of one connection share.
pub(crate) struct Peer {
    pub(crate) app: Arc<App>,
    pub(crate) arrived: Arrived,
    /// Where the kernel can send objects by itself.
    pub(crate) direct: Option<Arc<Direct>>,
    /// Who TLS says it is.
    pub(crate) holder: Holder,
    pub(crate) activity: Arc<Activity>,
    pub(crate) pace: Pace,
}

/// Answers one request. Never fails: whatever happens has an answer.
pub(crate) async fn answer(
    peer: Arc<Peer>,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Infallible> {
    let (counted, number) = peer.activity.request();
    let request_id = RequestId::random();
    let version = request.version();
    let client = peer.arrived.client(request.headers());
    let perimeter = &peer.app.perimeter;
    let recorder = Recorder::new(&peer.app, &request, request_id, &client.text);
    let mut line = Box::new(Line::new(
        request.method().clone(),
        request_id,
        Arc::clone(&client.text),
        request.headers().get(USER_AGENT).cloned(),
    ));

    // hyper drops one of two lengths: only the raw head shows both.
    let two_lengths = peer.activity.is_distrusted(number);
    let two_lengths = two_lengths.then_some(Ambiguous::Lengths);
    let ambiguous = two_lengths.or_else(|| strict::check(&request).err());
    let (parts, incoming) = request.into_parts();
    let body = RequestBody::new(incoming, peer.pace, Arc::clone(&peer.activity));
    let admitted = perimeter.admit_address(&client);
    let mut response = match (ambiguous, admitted) {
        (Some(ambiguous), _) => {
            peer.activity.leave_unread();
            drop(body);
            let failure = Failure::new(StatusCode::BAD_REQUEST, ErrorCode::Unsupported);
            refused(failure.message(ambiguous), &mut line)
        }
        (None, Err(failure)) => {
            drop(body);
            refused(failure, &mut line)
        }
        (None, Ok(permit)) => {
            line.permits.extend(permit.shared());
            let asked = Box::new(Asked {
                parts,
                body,
                request_id,
                client,
                trail: recorder.as_ref().map(Recorder::trail),
                direct: peer.direct.clone(),
                certificate: peer.holder.certificate(),
            });
            // In its place from the start: it is moved nowhere.
            let answered = caught(pin!(peer.app.answer(asked, &mut line))).await;
            answered.unwrap_or_else(|Panicked| refused(Failure::panicked(), &mut line))
        }
    };

    let is_head = line.method == Method::HEAD;
    line.status = Some(response.status());
    line.permits
        .extend(response.extensions_mut().remove::<Arc<Permit>>());
    if let Some(recorder) = recorder {
        recorder.answered(response.status()).await;
    }
    response
        .headers_mut()
        .insert(REQUEST_ID, request_id.header());
    if peer.activity.left_unread() && version < Version::HTTP_2 {
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if is_head {
        // The headers are those of a GET; HTTP/2 would send what is there, HTTP/1 would not.
        *response.body_mut() = ResponseBody::empty();
    }
    let sending = peer.activity.sending();
    response.body_mut().carry(line, [counted, sending]);
    failpoint!("server::answer::ready");
    Ok(response)
}

/// The answer to a request that the application does not get to see, or failed at.
fn refused(failure: Failure, line: &mut Line) -> Response<ResponseBody> {
    let mut response = failure.noted(line);
    let version = HeaderValue::from_static("registry/2.0");
    response.headers_mut().insert(API_VERSION, version);
    response
}

/// A handler panicked.
#[derive(Debug)]
struct Panicked;

/// A panic is a mistake of one request, and an answer to that request alone.
async fn caught<F: Future>(answering: Pin<&mut F>) -> Result<F::Output, Panicked> {
    let answering = AssertUnwindSafe(answering).catch_unwind();
    answering.await.map_err(|_| Panicked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_handler_that_panics_is_a_500() {
        let answered = caught(pin!(async { panic!("a test's own") })).await;
        assert!(matches!(answered, Err(Panicked)));
        let mut line = Line::new(Method::GET, RequestId::random(), "".into(), None);
        let response = refused(Failure::panicked(), &mut line);
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(line.code, Some(ErrorCode::Unknown));
        let cause = line.cause.take();
        assert!(cause.is_some_and(|cause| cause.contains("panicked")));
    }
}
