//! The one table from what went wrong to what a client is told: status, code, message, detail.
//!
//! A client hears what it can act on; causes inside the server go to the log, by request id.

use http::header::{
    ALLOW, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RANGE, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use roadstead_oci::{ErrorCode, Reference, Tag};
use roadstead_registry::{BodyFailure, Error, MetadataError, StorageError, UploadId};
use serde_json::{Value, json};

use crate::body::ResponseBody;
use crate::query::QueryError;
use crate::request_log::Line;
use crate::routes::RouteError;

/// A refusal on its way to the client.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    errors: Vec<Entry>,
    headers: HeaderMap,
    /// What the operator needs to know and the client must not.
    pub(crate) cause: Option<String>,
}

#[derive(Debug)]
struct Entry {
    code: ErrorCode,
    message: String,
    detail: Option<Value>,
}

impl Failure {
    pub(crate) fn new(status: StatusCode, code: ErrorCode) -> Self {
        let entry = Entry {
            code,
            message: code.default_message().to_owned(),
            detail: None,
        };
        Self {
            status,
            errors: vec![entry],
            headers: HeaderMap::new(),
            cause: None,
        }
    }

    /// Replaces the code's default message.
    pub(crate) fn message(mut self, message: impl ToString) -> Self {
        for entry in &mut self.errors {
            entry.message = message.to_string();
        }
        self
    }

    pub(crate) fn detail(mut self, detail: impl Into<Value>) -> Self {
        let detail = detail.into();
        for entry in &mut self.errors {
            entry.detail = Some(detail.clone());
        }
        self
    }

    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// An upload that cannot go on where the client wants: where it can.
    pub(crate) fn resume_at(self, location: &str, id: UploadId, offset: u64) -> Self {
        self.header(LOCATION, location)
            .header(RANGE, &crate::headers::received(offset))
            .header(crate::headers::UPLOAD_ID, &id.to_string())
    }

    pub(crate) fn method_not_allowed(methods: &[Method]) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::Unsupported)
            .message("this endpoint does not have the method")
            .header(ALLOW, &crate::headers::method_list(methods))
    }

    pub(crate) fn code(&self) -> Option<ErrorCode> {
        self.errors.first().map(|entry| entry.code)
    }

    /// The answer; what the log says of it goes into its line.
    pub(crate) fn noted(mut self, line: &mut Line) -> Response<ResponseBody> {
        line.code = self.code();
        line.cause = self.cause.take();
        self.into_response()
    }

    pub(crate) fn into_response(self) -> Response<ResponseBody> {
        let errors: Vec<Value> = self
            .errors
            .into_iter()
            .map(|entry| {
                let mut error = json!({"code": entry.code.as_str(), "message": entry.message});
                if let Some(detail) = entry.detail {
                    error["detail"] = detail;
                }
                error
            })
            .collect();
        let mut body = json!({ "errors": errors }).to_string();
        body.push('\n');
        let mut response = Response::new(ResponseBody::empty());
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        *response.body_mut() = ResponseBody::full(body);
        response
    }

    fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::of_the_registry(chain(error))
    }

    /// A request whose handler panicked: a mistake in this program, and no reason to end it.
    pub(crate) fn panicked() -> Self {
        Self::of_the_registry("the handler panicked".to_owned())
    }

    fn of_the_registry(cause: String) -> Self {
        let mut failure = Self::new(StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Unknown)
            .message("the registry failed; its log has the cause under this request's id");
        failure.cause = Some(cause);
        failure
    }

    fn storage_full() -> Self {
        Self::new(StatusCode::INSUFFICIENT_STORAGE, ErrorCode::Unavailable)
            .message("the registry's storage is full; tell its operator and push again later")
    }
}

/// An error with its sources, for the log.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        use ErrorCode as Code;
        match error {
            Error::BlobUnknown(digest) => {
                Self::new(StatusCode::NOT_FOUND, Code::BlobUnknown).detail(digest.to_string())
            }
            Error::BlobReferenced { manifests } => {
                Self::new(StatusCode::METHOD_NOT_ALLOWED, Code::Unsupported)
                    .message(format!(
                        "the blob is referenced by {manifests} manifest(s) of this repository; delete them first"
                    ))
                    .detail(json!({ "manifests": manifests }))
            }
            Error::ManifestUnknown(Reference::Tag(tag)) => {
                Self::new(StatusCode::NOT_FOUND, Code::ManifestUnknown)
                    .detail(format!("unknown tag={tag}"))
            }
            Error::ManifestUnknown(Reference::Digest(digest)) => {
                Self::new(StatusCode::NOT_FOUND, Code::ManifestUnknown)
                    .detail(format!("unknown revision={digest}"))
            }
            Error::NameUnknown(name) => Self::new(StatusCode::NOT_FOUND, Code::NameUnknown)
                .detail(json!({ "name": name.as_str() })),
            Error::UploadUnknown => {
                Self::new(StatusCode::NOT_FOUND, Code::BlobUploadUnknown)
                    .message("the upload session is unknown, finished or expired; start a new one")
            }
            Error::UploadRange { offset } => {
                Self::new(StatusCode::RANGE_NOT_SATISFIABLE, Code::RangeInvalid)
                    .message(format!("the upload continues at byte {offset}"))
            }
            Error::SizeInvalid { .. } => {
                Self::new(StatusCode::BAD_REQUEST, Code::SizeInvalid).message(&error)
            }
            Error::DigestMismatch { .. } => {
                Self::new(StatusCode::BAD_REQUEST, Code::DigestInvalid).detail(error.to_string())
            }
            Error::ManifestInvalid(error) => {
                Self::new(StatusCode::BAD_REQUEST, Code::ManifestInvalid).detail(error.to_string())
            }
            Error::ReferencesUnknown(digests) => {
                let mut failure = Self::new(StatusCode::BAD_REQUEST, Code::ManifestBlobUnknown);
                failure.errors = digests
                    .into_iter()
                    .map(|digest| Entry {
                        code: Code::ManifestBlobUnknown,
                        message: Code::ManifestBlobUnknown.default_message().to_owned(),
                        detail: Some(json!(digest.to_string())),
                    })
                    .collect();
                failure
            }
            Error::ReferenceSize(sizes) => {
                let sizes: Vec<Value> = sizes
                    .iter()
                    .map(|(digest, size)| json!({"digest": digest.to_string(), "size": size}))
                    .collect();
                Self::new(StatusCode::BAD_REQUEST, Code::ManifestInvalid)
                    .message("a descriptor states another size than its content has")
                    .detail(sizes)
            }
            Error::TagsTaken(tags) => {
                let tags: Vec<&str> = tags.iter().map(Tag::as_str).collect();
                Self::new(StatusCode::FORBIDDEN, Code::Denied)
                    .message("the tag points to another manifest, and you may not move it")
                    .detail(json!({ "tags": tags }))
            }
            Error::LayerUrl { digest } => {
                Self::new(StatusCode::BAD_REQUEST, Code::ManifestInvalid)
                    .message("a layer has a url that validation.manifests.urls does not allow")
                    .detail(digest.to_string())
            }
            Error::ReadOnly => Self::new(StatusCode::METHOD_NOT_ALLOWED, Code::Unsupported)
                .message("the registry is read-only for maintenance"),
            Error::DeleteDisabled => Self::new(StatusCode::METHOD_NOT_ALLOWED, Code::Unsupported)
                .message("deletion is disabled on this registry"),
            Error::NotGranted(action) => Self::new(StatusCode::FORBIDDEN, Code::Denied)
                .detail(json!({ "action": action.as_str() })),
            Error::Body(failure) => failure.into(),
            Error::Storage(StorageError::Full { .. }) | Error::Metadata(MetadataError::Full { .. }) => {
                let mut failure = Self::storage_full();
                failure.cause = Some(chain(&error));
                failure
            }
            // Not one line for each refusal: that the disk is full was logged when it became so.
            Error::Storage(StorageError::Reserve) => Self::storage_full(),
            Error::Storage(StorageError::TooManyFiles { .. }) => {
                let mut failure = Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable)
                    .message("the registry is at its limit of open files; try again soon")
                    .header(RETRY_AFTER, "1");
                failure.cause = Some(chain(&error));
                failure
            }
            Error::Metadata(MetadataError::TooManyUploads { limit }) => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, Code::TooManyRequests)
                    .message(format!("more than {limit} uploads are open; finish or cancel some"))
                    .header(RETRY_AFTER, "60")
            }
            Error::Storage(_) | Error::Metadata(_) | Error::HashState | Error::CutOff => {
                Self::internal(&error)
            }
        }
    }
}

impl From<BodyFailure> for Failure {
    fn from(failure: BodyFailure) -> Self {
        let status = match failure {
            BodyFailure::Disconnected | BodyFailure::Malformed => StatusCode::BAD_REQUEST,
            BodyFailure::TooSlow => StatusCode::REQUEST_TIMEOUT,
        };
        Self::new(status, ErrorCode::SizeInvalid).message(failure)
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorCode::Unsupported).message(error)
    }
}

impl From<RouteError> for Failure {
    fn from(error: RouteError) -> Self {
        match error {
            RouteError::Unknown => Self::new(StatusCode::NOT_FOUND, ErrorCode::NameUnknown)
                .message("no endpoint of the registry has this path"),
            RouteError::Malformed => Self::new(StatusCode::BAD_REQUEST, ErrorCode::NameInvalid)
                .message("the path has characters, escapes or segments that no name has"),
            RouteError::Name(message) => {
                Self::new(StatusCode::BAD_REQUEST, ErrorCode::NameInvalid).detail(message)
            }
            RouteError::Digest(message) => {
                Self::new(StatusCode::BAD_REQUEST, ErrorCode::DigestInvalid).detail(message)
            }
            RouteError::Tag(message) => Self::new(StatusCode::BAD_REQUEST, ErrorCode::TagInvalid)
                .message("invalid tag")
                .detail(message),
            RouteError::Upload => Error::UploadUnknown.into(),
        }
    }
}

impl Failure {
    pub(crate) fn unauthorised(challenge: &str, detail: Value) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized)
            .detail(detail)
            .header(WWW_AUTHENTICATE, challenge)
    }
}

#[cfg(test)]
mod tests;
