//! `/v2/<name>/blobs/<digest>` (OCI distribution end-2, end-10).

use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, LAST_MODIFIED, LOCATION, RANGE,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version};
use roadstead_oci::{ActionSet, Digest, ErrorCode, Grant, Ranges, RepositoryName, Requested};
use roadstead_registry::{Blob, BlobContent};

use super::manifest::precondition_failed;
use crate::app::{Answer, App, Call};
use crate::body::ResponseBody;
use crate::conditional::{Validators, Verdict};
use crate::error::Failure;
use crate::gradual;
use crate::headers::{CONTENT_DIGEST, empty, value};
use crate::multipart::Multipart;

pub(crate) async fn handle(
    app: &App,
    name: &RepositoryName,
    digest: &Digest,
    call: Call,
) -> Answer {
    if *call.method() == Method::DELETE {
        let grant = call.caller.grant(name, ActionSet::DELETE)?;
        let deletion = app.registry.delete_blob(&grant, digest, call.context());
        Box::pin(deletion).await?;
        return Ok(empty(StatusCode::ACCEPTED));
    }
    get(app, name, digest, &call).await
}

async fn get(app: &App, name: &RepositoryName, digest: &Digest, call: &Call) -> Answer {
    let grant = call.caller.grant(name, ActionSet::PULL)?;
    // A HEAD by somebody who may push asks whether an upload can be saved, and is promised it.
    let pusher = if *call.method() == Method::HEAD {
        call.caller.grant_if(name, ActionSet::PUSH)
    } else {
        None
    };
    let blob = match &pusher {
        Some(pusher) => Box::pin(app.registry.blob_for_push(pusher, digest)).await?,
        None => app.registry.blob(&grant, digest).await?,
    };
    let validators = Validators::new(blob.digest, Some(SystemTime::from(blob.linked_at)));
    match validators.verdict(call.headers()) {
        Verdict::Failed => return Err(precondition_failed()),
        Verdict::NotModified => {
            let mut response = empty(StatusCode::NOT_MODIFIED);
            describe(response.headers_mut(), &validators);
            return Ok(response);
        }
        Verdict::Proceed => {}
    }
    if let Some(url) = app.registry.redirect(&blob).await? {
        return Ok(redirect(&url, &blob));
    }
    let requested = requested(call.headers(), &validators, blob.size_bytes);
    let mut response = match requested {
        Requested::Whole | Requested::Ignored => {
            let range = 0..blob.size_bytes;
            part(app, &grant, &blob, range, call).await?
        }
        Requested::Unsatisfiable => return Err(unsatisfiable(&blob)),
        Requested::Parts(ranges) => match ranges.as_slice() {
            [range] => {
                let mut response = part(app, &grant, &blob, range.clone(), call).await?;
                *response.status_mut() = StatusCode::PARTIAL_CONTENT;
                let text = content_range(range, blob.size_bytes);
                response.headers_mut().insert(CONTENT_RANGE, value(&text));
                response
            }
            _ => parts(app, grant, &blob, ranges, call.method()),
        },
    };
    describe(response.headers_mut(), &validators);
    Ok(response)
}

async fn part(app: &App, grant: &Grant, blob: &Blob, range: Range<u64>, call: &Call) -> Answer {
    let length = range.end - range.start;
    let body = if *call.method() == Method::HEAD {
        ResponseBody::empty()
    } else if call.asked.parts.version == Version::HTTP_2 {
        let registry = Arc::clone(&app.registry);
        let content = gradual::open(registry, grant.clone(), blob.clone(), range);
        let content = Box::pin(content).await?;
        ResponseBody::stream(content, Some(length))
    } else {
        match app.registry.open_blob(grant, blob, range).await? {
            BlobContent::Inline(bytes) => ResponseBody::full(bytes),
            BlobContent::Stream(reader) => {
                ResponseBody::object(reader, length, call.asked.direct.as_deref())
            }
        }
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    Ok(response)
}

fn parts(
    app: &App,
    grant: Grant,
    blob: &Blob,
    ranges: Vec<Range<u64>>,
    method: &Method,
) -> Response<ResponseBody> {
    let multipart = Multipart::new(ranges, blob.size_bytes);
    let (content_type, length) = (multipart.content_type(), multipart.length());
    let body = if *method == Method::HEAD {
        ResponseBody::empty()
    } else {
        let stream = multipart.stream(Arc::clone(&app.registry), grant, blob.clone());
        ResponseBody::stream(stream, Some(length))
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, value(&content_type));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    response
}

/// What identifies a blob and how it may be kept; nothing that lets a browser run it.
fn describe(headers: &mut HeaderMap, validators: &Validators) {
    headers.insert(CONTENT_DIGEST, validators.digest.clone());
    headers.insert(ETAG, validators.etag.clone());
    if let Some(changed) = validators.last_modified {
        headers.insert(LAST_MODIFIED, value(&httpdate::fmt_http_date(changed)));
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=31536000"));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("sandbox; default-src 'none'"),
    );
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
}

fn redirect(url: &str, blob: &Blob) -> Response<ResponseBody> {
    let mut response = empty(StatusCode::TEMPORARY_REDIRECT);
    let headers = response.headers_mut();
    headers.insert(LOCATION, value(url));
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    headers.insert(CONTENT_DIGEST, value(&blob.digest.to_string()));
    response
}

fn requested(headers: &HeaderMap, validators: &Validators, size: u64) -> Requested {
    let mut lines = headers.get_all(RANGE).iter();
    match (lines.next(), lines.next()) {
        (Some(line), None) if validators.range_applies(headers) => line
            .to_str()
            .map_or(Requested::Ignored, |text| Ranges::parse(text, size)),
        _ => Requested::Whole,
    }
}

fn unsatisfiable(blob: &Blob) -> Failure {
    Failure::new(StatusCode::RANGE_NOT_SATISFIABLE, ErrorCode::RangeInvalid)
        .message(format!("the blob has {} bytes", blob.size_bytes))
        .header(CONTENT_RANGE, &format!("bytes */{}", blob.size_bytes))
        .header(CONTENT_DIGEST, &blob.digest.to_string())
        .header(ACCEPT_RANGES, "bytes")
}

pub(crate) fn content_range(range: &Range<u64>, size: u64) -> String {
    format!(
        "bytes {}-{}/{size}",
        range.start,
        range.end.saturating_sub(1)
    )
}
