//! From a request of a connection to its answer: identity, strictness, the application, the log.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use http::header::{CONNECTION, HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use roadstead_failpoint::failpoint;
use roadstead_oci::ErrorCode;
use roadstead_registry::Context;
use uuid::Uuid;

use crate::activity::Activity;
use crate::app::{Answered, App};
use crate::body::{RequestBody, ResponseBody};
use crate::error::Failure;
use crate::pace::Pace;
use crate::request_log::{Line, printable};
use crate::strict::{self, Ambiguous};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What all requests of one connection share.
pub(crate) struct Peer {
    pub(crate) app: Arc<App>,
    pub(crate) address: Arc<str>,
    pub(crate) activity: Arc<Activity>,
    pub(crate) pace: Pace,
}

/// Answers one request. Never fails: whatever happens has an answer.
pub(crate) async fn answer(peer: Arc<Peer>, request: Request<Incoming>) -> Response<ResponseBody> {
    let (counted, number) = peer.activity.request();
    let request_id = Uuid::new_v4().to_string();
    let agent = text(request.headers(), &USER_AGENT);
    let (method, version) = (request.method().clone(), request.version());
    let is_head = method == Method::HEAD;
    let mut line = Line::new(
        method,
        request_id.clone(),
        Arc::clone(&peer.address),
        &agent,
    );
    let context = context(&peer, &request, &request_id, &agent);

    // hyper drops one of two lengths: only the raw head shows both.
    let two_lengths = peer.activity.is_distrusted(number);
    let two_lengths = two_lengths.then_some(Ambiguous::Lengths);
    let ambiguous = two_lengths.or_else(|| strict::check(&request).err());
    let (parts, incoming) = request.into_parts();
    let body = RequestBody::new(incoming, peer.pace, Arc::clone(&peer.activity));
    let request = Request::from_parts(parts, body);
    let answered = match ambiguous {
        Some(ambiguous) => {
            peer.activity.leave_unread();
            drop(request);
            let failure = Failure::new(StatusCode::BAD_REQUEST, ErrorCode::Unsupported);
            Answered::refused(failure.message(ambiguous))
        }
        None => caught(peer.app.answer(request, context)).await,
    };

    let Answered {
        route,
        principal,
        code,
        cause,
        mut response,
    } = answered;
    if let Some(route) = &route {
        line.route(route);
    }
    line.status = Some(response.status());
    (line.code, line.cause, line.principal) = (code, cause, printable(&principal));
    if let Ok(id) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
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
    response
}

/// A panic is a mistake of one request, and an answer to that request alone.
async fn caught(answering: impl Future<Output = Answered>) -> Answered {
    let answering = AssertUnwindSafe(answering).catch_unwind();
    answering.await.unwrap_or_else(|_| Answered::panicked())
}

fn context(peer: &Peer, request: &Request<Incoming>, request_id: &str, agent: &str) -> Context {
    let host = match request.uri().authority() {
        Some(authority) => printable(authority.as_str()),
        None => printable(&text(request.headers(), &HOST)),
    };
    Context {
        actor: String::new(),
        request_id: request_id.to_owned(),
        address: peer.address.to_string(),
        host,
        method: request.method().to_string(),
        user_agent: printable(agent),
    }
}

fn text(headers: &HeaderMap, name: &HeaderName) -> String {
    let value = headers
        .get(name)
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    String::from_utf8_lossy(value).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_handler_that_panics_is_a_500() {
        let answered = caught(async { panic!("a test's own") }).await;
        assert_eq!(
            answered.response.status(),
            StatusCode::INTERNAL_SERVER_ERROR
        );
        assert_eq!(answered.code, Some(ErrorCode::Unknown));
        assert!(
            answered
                .cause
                .is_some_and(|cause| cause.contains("panicked"))
        );
    }
}
