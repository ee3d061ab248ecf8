//! `/` and `/v2/` (OCI distribution end-1).

use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};

use crate::body::ResponseBody;
use crate::headers::empty;

/// For load balancers: up, and nothing else.
pub(crate) fn root() -> Response<ResponseBody> {
    let mut response = empty(StatusCode::OK);
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// This is a registry, and the caller is known to it.
pub(crate) fn base() -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::full("{}"));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("2"));
    response
}
