//! One line a request, when its answer has gone out or broke off: what was asked, what was
//! answered, by and to whom. Text of clients is escaped; credentials never stand in it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use http::{HeaderValue, Method, StatusCode};
use roadstead_oci::{ErrorCode, PrincipalName};

use crate::perimeter::Permit;
use crate::request_id::RequestId;
use crate::routes::Route;

/// The status in the line of a request whose client went away before it was answered.
pub(crate) const NOT_ANSWERED: u16 = 499;

/// Characters of a client's text that a line keeps.
const TEXT_CHARS: usize = 256;

/// A line that is being gathered. Written when it is dropped; nothing of it is made into text
/// before, and then only if somebody reads it.
pub(crate) struct Line {
    pub(crate) begun: Instant,
    pub(crate) method: Method,
    /// What the path named, if anything.
    pub(crate) route: Option<Route>,
    /// Of the answer, once there is one.
    pub(crate) status: Option<StatusCode>,
    pub(crate) code: Option<ErrorCode>,
    pub(crate) cause: Option<String>,
    pub(crate) principal: Option<PrincipalName>,
    pub(crate) request_id: RequestId,
    pub(crate) address: Arc<str>,
    pub(crate) user_agent: Option<HeaderValue>,
    /// Held until the answer has gone out.
    pub(crate) permits: Vec<Arc<Permit>>,
    sent_bytes: u64,
    broken: Option<String>,
}

impl Line {
    pub(crate) fn new(
        method: Method,
        request_id: RequestId,
        address: Arc<str>,
        user_agent: Option<HeaderValue>,
    ) -> Self {
        Self {
            begun: Instant::now(),
            method,
            route: None,
            status: None,
            code: None,
            cause: None,
            principal: None,
            request_id,
            address,
            user_agent,
            permits: Vec::new(),
            sent_bytes: 0,
            broken: None,
        }
    }

    pub(crate) fn sent(&mut self, bytes: usize) {
        self.sent_bytes += bytes as u64;
    }

    pub(crate) fn broke_off(&mut self, error: &(dyn std::error::Error + 'static)) {
        self.broken = Some(crate::error::chain(error));
    }

    fn write(&self) {
        let duration_ms = self.begun.elapsed().as_secs_f64() * 1000.0;
        let route = self.route.as_ref();
        let repository = route.and_then(Route::repository).map(ToString::to_string);
        let principal = self.principal.as_ref().map(PrincipalName::as_str);
        tracing::info!(
            target: "access",
            method = known(&self.method),
            route = route.map_or("none", Route::label),
            repository = repository.unwrap_or_default(),
            reference = route.map(reference).unwrap_or_default(),
            status = self.status.map_or(NOT_ANSWERED, |status| status.as_u16()),
            code = self.code.map_or("", ErrorCode::as_str),
            duration_ms = (duration_ms * 1000.0).round() / 1000.0,
            size_bytes = self.sent_bytes,
            principal = printable(principal.unwrap_or_default()),
            request_id = self.request_id.to_string(),
            address = &*self.address,
            user_agent = printable(&text(self.user_agent.as_ref())),
            "request"
        );
    }
}

/// What the path named within the repository.
pub(crate) fn reference(route: &Route) -> String {
    match route {
        Route::Manifest(_, reference) => reference.to_string(),
        Route::Blob(_, digest) | Route::Referrers(_, digest) => digest.to_string(),
        Route::Upload(_, id) => id.to_string(),
        _ => String::new(),
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if tracing::enabled!(target: "access", tracing::Level::INFO) {
            self.write();
        }
        if let Some(cause) = &self.cause {
            let request_id = self.request_id.to_string();
            if self.status.is_some_and(|status| status.is_server_error()) {
                tracing::error!(request_id, cause, "the request failed");
            } else {
                tracing::warn!(request_id, cause, "the request was refused");
            }
        }
        if let Some(error) = &self.broken {
            let request_id = self.request_id.to_string();
            tracing::error!(request_id, error, "the answer broke off");
        }
    }
}

/// A method by its name, if it is one that HTTP knows: others are as long as clients like.
pub(crate) fn known(method: &Method) -> &str {
    let all = [
        &Method::CONNECT,
        &Method::DELETE,
        &Method::GET,
        &Method::HEAD,
        &Method::OPTIONS,
        &Method::PATCH,
        &Method::POST,
        &Method::PUT,
        &Method::TRACE,
    ];
    if all.contains(&method) {
        method.as_str()
    } else {
        "other"
    }
}

/// A header's text, however it is encoded; nothing where there is none.
pub(crate) fn text(value: Option<&HeaderValue>) -> Cow<'_, str> {
    String::from_utf8_lossy(value.map(HeaderValue::as_bytes).unwrap_or_default())
}

/// Text of a client without anything that a terminal or a line could stumble over, cut.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars().take(TEXT_CHARS) {
        if c.is_control() || is_format(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Characters that turn the direction of text round or hide it.
fn is_format(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::{Method, known, printable};

    #[test]
    fn methods_in_lines_are_few() {
        let long = Method::from_bytes(&[b'X'; 1_000]).unwrap();
        for (method, expected) in [
            (Method::GET, "GET"),
            (Method::TRACE, "TRACE"),
            (long, "other"),
        ] {
            assert_eq!(known(&method), expected);
        }
    }

    #[test]
    fn text_of_clients_cannot_forge_a_line() {
        assert_eq!(printable("curl/8"), "curl/8");
        assert_eq!(
            printable("a\x1b[31m\nb\u{202e}"),
            "a\\u{1b}[31m\\u{a}b\\u{202e}"
        );
        assert_eq!(printable(&"x".repeat(1_000)).len(), 256);
    }
}
