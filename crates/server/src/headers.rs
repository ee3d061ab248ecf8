//! Headers of the registry's answers, and the URLs in them.

use http::header::{CONTENT_LENGTH, HeaderName, HeaderValue};
use http::{Method, Response, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use roadstead_oci::{Digest, RepositoryName};
use roadstead_registry::UploadId;

use crate::body::ResponseBody;
use crate::routes::TOKEN_PATH;

pub(crate) const API_VERSION: HeaderName =
    HeaderName::from_static("docker-distribution-api-version");
pub(crate) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
pub(crate) const UPLOAD_ID: HeaderName = HeaderName::from_static("docker-upload-uuid");
pub(crate) const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
pub(crate) const OCI_TAG: HeaderName = HeaderName::from_static("oci-tag");
pub(crate) const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

/// Characters of a query value that stay as they are.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The URL of the token endpoint of a registry that clients reach at `host` (`http.host`).
#[must_use]
pub fn token_url(host: &str, prefix: &str) -> String {
    Urls::new(Some(host), prefix).token()
}

/// Where the registry stands for its clients: by configuration, and where that leaves it open by
/// what a trusted proxy says. Host, and forwarded headers of anybody else, are never echoed.
#[derive(Debug, Clone)]
pub(crate) struct Urls {
    /// What comes before `/v2/`, without a slash at the end.
    base: String,
    configured: bool,
}

impl Urls {
    /// `host` is `http.host` (its path, if any, replaces the prefix); without it URLs are
    /// path-absolute.
    pub(crate) fn new(host: Option<&str>, prefix: &str) -> Self {
        let prefix = prefix.trim_end_matches('/');
        let base = match host.map(|host| host.trim_end_matches('/')) {
            None => prefix.to_owned(),
            Some(host) => {
                let authority = host.split_once("://").map_or(host, |(_, rest)| rest);
                if authority.contains('/') {
                    host.to_owned()
                } else {
                    format!("{host}{prefix}")
                }
            }
        };
        Self {
            base,
            configured: host.is_some(),
        }
    }

    /// Whether they have scheme and host, or must do without.
    pub(crate) fn are_configured(&self) -> bool {
        self.configured
    }

    /// The same below this scheme and host.
    pub(crate) fn at(&self, origin: &str) -> Self {
        Self {
            base: format!("{origin}{}", self.base),
            configured: true,
        }
    }

    /// The token endpoint.
    pub(crate) fn token(&self) -> String {
        format!("{}/{TOKEN_PATH}", self.base)
    }

    pub(crate) fn blob(&self, repository: &RepositoryName, digest: &Digest) -> String {
        format!("{}/v2/{repository}/blobs/{digest}", self.base)
    }

    pub(crate) fn manifest(&self, repository: &RepositoryName, digest: &Digest) -> String {
        format!("{}/v2/{repository}/manifests/{digest}", self.base)
    }

    pub(crate) fn upload(&self, repository: &RepositoryName, id: UploadId) -> String {
        format!("{}/v2/{repository}/blobs/uploads/{id}", self.base)
    }

    /// The Link to a next page: `path` below `/v2/`, parameters in their order.
    pub(crate) fn next(&self, path: &str, parameters: &[(&str, &str)]) -> String {
        let query: Vec<String> = parameters
            .iter()
            .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, VALUE)))
            .collect();
        format!(
            "<{}/v2/{path}?{}>; rel=\"next\"",
            self.base,
            query.join("&")
        )
    }
}

/// The Range header of an upload, which is `0-0` for an empty one too.
pub(crate) fn received(offset: u64) -> String {
    format!("0-{}", offset.saturating_sub(1))
}

pub(crate) fn method_list(methods: &[Method]) -> String {
    methods
        .iter()
        .map(Method::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}

/// Text that is built from parsed names and numbers alone, and so always a legal header.
pub(crate) fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::empty());
    *response.status_mut() = status;
    if status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED {
        response
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_come_from_the_configuration() {
        for (host, prefix, expected) in [
            (None, "/", "/v2/a/manifests/"),
            (None, "/reg/", "/reg/v2/a/manifests/"),
            (
                Some("https://r.example"),
                "/",
                "https://r.example/v2/a/manifests/",
            ),
            (
                Some("https://r.example/"),
                "/reg/",
                "https://r.example/reg/v2/a/manifests/",
            ),
            (
                Some("https://r.example/x/"),
                "/reg/",
                "https://r.example/x/v2/a/manifests/",
            ),
        ] {
            let name = RepositoryName::parse("a").unwrap();
            let digest = Digest::parse(&format!("sha256:{}", "0".repeat(64))).unwrap();
            let url = Urls::new(host, prefix).manifest(&name, &digest);
            assert_eq!(url, format!("{expected}{digest}"));
        }
    }

    #[test]
    fn an_empty_upload_has_the_range_of_one_byte() {
        assert_eq!(
            [received(0), received(1), received(10)],
            ["0-0", "0-0", "0-9"]
        );
    }
}
