//! `/v2/<name>/referrers/<digest>` (OCI distribution end-12): an index, even if it is empty.

use http::HeaderValue;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, LINK};
use http::{Response, StatusCode};
use roadstead_oci::{ActionSet, Digest, ErrorCode, MediaType, RepositoryName};

use crate::app::{Answer, App, Call};
use crate::body::ResponseBody;
use crate::error::Failure;
use crate::headers::{FILTERS_APPLIED, value};

pub(crate) async fn list(app: &App, name: &RepositoryName, digest: &Digest, call: Call) -> Answer {
    let grant = call.caller.grant(name, ActionSet::PULL)?;
    let artifact_type = call
        .query
        .one("artifactType")?
        .filter(|wanted| !wanted.is_empty());
    let after = call
        .query
        .one("last")?
        .map(Digest::parse)
        .transpose()
        .map_err(|error| {
            Failure::new(StatusCode::BAD_REQUEST, ErrorCode::DigestInvalid)
                .detail(error.to_string())
        })?;
    let page = app
        .registry
        .referrers(&grant, digest, artifact_type, after.as_ref())
        .await?;

    let mut body =
        Vec::with_capacity(page.descriptors.iter().map(|d| d.len() + 1).sum::<usize>() + 128);
    body.extend_from_slice(b"{\"schemaVersion\":2,\"mediaType\":\"");
    body.extend_from_slice(MediaType::OCI_INDEX.as_str().as_bytes());
    body.extend_from_slice(b"\",\"manifests\":[");
    body.extend_from_slice(&page.descriptors.join(&b","[..]));
    body.extend_from_slice(b"]}\n");
    let length = body.len();
    let mut response = Response::new(ResponseBody::full(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, value(MediaType::OCI_INDEX.as_str()));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    if artifact_type.is_some() {
        headers.insert(FILTERS_APPLIED, HeaderValue::from_static("artifactType"));
    }
    if let Some(next) = page.next {
        let next = next.to_string();
        let mut parameters = vec![("last", next.as_str())];
        parameters.extend(artifact_type.map(|wanted| ("artifactType", wanted)));
        let link = app
            .urls_for(&call.asked.client)
            .next(&format!("{name}/referrers/{digest}"), &parameters);
        headers.insert(LINK, value(&link));
    }
    Ok(response)
}
