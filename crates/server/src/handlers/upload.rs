//! `/v2/<name>/blobs/uploads/…` (OCI distribution end-4 to end-6, end-11, end-13, end-14).

use http::header::{CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE};
use http::{HeaderMap, Method, Response, StatusCode};
use roadstead_oci::{ActionSet, Algorithm, ContentRange, Digest, ErrorCode, Grant, RepositoryName};
use roadstead_registry::{Declared, Error, UploadId, UploadStatus};

use super::manifest::digest_parameter;
use crate::app::{Answer, App, Call};
use crate::body::{RequestBody, ResponseBody};
use crate::error::Failure;
use crate::headers::{CONTENT_DIGEST, UPLOAD_ID, Urls, empty, received, value};

/// POST: mounts a blob, takes a whole one, or starts a session.
pub(crate) async fn start(app: &App, name: &RepositoryName, call: Call) -> Answer {
    let urls = app.urls_for(&call.asked.client);
    let from = call.query.one("from")?.map(RepositoryName::parse);
    let from = from.as_ref().map(Result::as_ref);
    let source = from.and_then(Result::ok);
    let grant = call.caller.grant_mount(name, source)?;
    app.registry
        .room(call.asked.body.content_length().unwrap_or(0))?;
    if let Some(mount) = call.query.one("mount")? {
        let digest = digest_parameter(mount)?;
        let sources = match from {
            // A name that breaks the grammar is nobody's.
            Some(_) => source.cloned().into_iter().collect(),
            None => app.registry.holders(&grant, &digest).await?,
        };
        if mounted(app, &grant, &digest, sources, &call).await? {
            return Ok(created(&urls, name, &digest));
        }
    } else if let Some(digest) = call.query.one("digest")? {
        let digest = digest_parameter(digest)?;
        let context = call.context();
        app.registry
            .push_blob(&grant, digest, call.asked.body, context)
            .await?;
        return Ok(created(&urls, name, &digest));
    }
    let algorithm = match call.query.one("digest-algorithm")? {
        None => Algorithm::Sha256,
        Some(text) => Algorithm::parse(text).ok_or_else(|| {
            Failure::new(StatusCode::BAD_REQUEST, ErrorCode::DigestInvalid)
                .message("the digest algorithm is not supported; use sha256 or sha512")
        })?,
    };
    let started = app.registry.start_upload(&grant, algorithm).await?;
    Ok(accepted(
        &urls,
        name,
        started.id,
        UploadStatus { offset: 0 },
    ))
}

pub(crate) async fn handle(app: &App, name: &RepositoryName, id: UploadId, call: Call) -> Answer {
    let urls = app.urls_for(&call.asked.client);
    let answer = match *call.method() {
        Method::PATCH => append(app, name, id, call).await,
        Method::PUT => finish(app, name, id, call).await,
        Method::DELETE => cancel(app, name, id, call).await,
        _ => status(app, name, id, call).await,
    };
    answer.map_err(|error| match error {
        // Whoever may go on with the session is told where.
        UploadError::Registry(Error::UploadRange { offset }) => {
            let location = urls.upload(name, id);
            Failure::from(Error::UploadRange { offset }).resume_at(&location, id, offset)
        }
        UploadError::Registry(error) => error.into(),
        UploadError::Other(failure) => failure,
    })
}

type UploadAnswer = Result<Response<ResponseBody>, UploadError>;

/// Keeps the registry's errors apart until the session's URL can be added to them.
enum UploadError {
    Registry(Error),
    Other(Failure),
}

impl From<Error> for UploadError {
    fn from(error: Error) -> Self {
        Self::Registry(error)
    }
}

impl<E: Into<Failure>> From<(E,)> for UploadError {
    fn from((error,): (E,)) -> Self {
        Self::Other(error.into())
    }
}

impl From<Failure> for UploadError {
    fn from(failure: Failure) -> Self {
        Self::Other(failure)
    }
}

async fn status(app: &App, name: &RepositoryName, id: UploadId, call: Call) -> UploadAnswer {
    let urls = app.urls_for(&call.asked.client);
    let grant = call.caller.grant(name, ActionSet::PULL)?;
    let status = app.registry.upload_status(&grant, id).await?;
    let mut response = accepted(&urls, name, id, status);
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().remove(http::header::CONTENT_LENGTH);
    Ok(response)
}

async fn append(app: &App, name: &RepositoryName, id: UploadId, call: Call) -> UploadAnswer {
    let urls = app.urls_for(&call.asked.client);
    let grant = call.caller.grant(name, ActionSet::PUSH)?;
    check_content_type(call.headers())?;
    let declared = declared(call.headers(), &call.asked.body)?;
    let more = declared.length.unwrap_or(0);
    app.registry.room_to_append(&grant, id, more).await?;
    let status = app
        .registry
        .append_upload(&grant, id, declared, call.asked.body)
        .await?;
    Ok(accepted(&urls, name, id, status))
}

async fn finish(app: &App, name: &RepositoryName, id: UploadId, call: Call) -> UploadAnswer {
    let urls = app.urls_for(&call.asked.client);
    let grant = call.caller.grant(name, ActionSet::PUSH)?;
    let digest = call.query.one("digest").map_err(|error| {
        Failure::new(StatusCode::BAD_REQUEST, ErrorCode::DigestInvalid).message(error)
    })?;
    let digest = digest.ok_or_else(|| {
        Failure::new(StatusCode::BAD_REQUEST, ErrorCode::DigestInvalid)
            .message("the digest parameter is missing")
            .detail("digest missing")
    })?;
    let digest = digest_parameter(digest)?;
    let declared = declared(call.headers(), &call.asked.body)?;
    let context = call.context();
    // What is all there already can be closed: it takes no more than a row.
    if declared.length != Some(0) {
        let more = declared.length.unwrap_or(0);
        app.registry.room_to_append(&grant, id, more).await?;
    }
    app.registry
        .finish_upload(&grant, id, declared, call.asked.body, digest, context)
        .await?;
    Ok(created(&urls, name, &digest))
}

async fn cancel(app: &App, name: &RepositoryName, id: UploadId, call: Call) -> UploadAnswer {
    let grant = call.caller.grant(name, ActionSet::PUSH)?;
    app.registry.cancel_upload(&grant, id).await?;
    let mut response = empty(StatusCode::NO_CONTENT);
    response
        .headers_mut()
        .insert(UPLOAD_ID, value(&id.to_string()));
    Ok(response)
}

/// Whether the blob could be mounted. Whatever is in the way, the client gets a session and learns
/// nothing about repositories that it may not pull.
async fn mounted(
    app: &App,
    grant: &Grant,
    digest: &Digest,
    sources: Vec<RepositoryName>,
    call: &Call,
) -> Result<bool, Failure> {
    for source in sources {
        let Some(source) = call.caller.source(&source) else {
            continue;
        };
        if app
            .registry
            .mount(grant, &source, digest, call.context())
            .await?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn accepted(
    urls: &Urls,
    name: &RepositoryName,
    id: UploadId,
    status: UploadStatus,
) -> Response<ResponseBody> {
    let mut response = empty(StatusCode::ACCEPTED);
    let headers = response.headers_mut();
    headers.insert(LOCATION, value(&urls.upload(name, id)));
    headers.insert(RANGE, value(&received(status.offset)));
    headers.insert(UPLOAD_ID, value(&id.to_string()));
    response
}

fn created(urls: &Urls, name: &RepositoryName, digest: &Digest) -> Response<ResponseBody> {
    let mut response = empty(StatusCode::CREATED);
    let headers = response.headers_mut();
    headers.insert(LOCATION, value(&urls.blob(name, digest)));
    headers.insert(CONTENT_DIGEST, value(&digest.to_string()));
    response
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Failure> {
    let Some(line) = headers.get(CONTENT_TYPE) else {
        return Ok(());
    };
    let kind = line
        .to_str()
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    if kind.is_empty() || kind.eq_ignore_ascii_case("application/octet-stream") {
        return Ok(());
    }
    Err(
        Failure::new(StatusCode::BAD_REQUEST, ErrorCode::BlobUploadInvalid)
            .message("the Content-Type of a chunk is application/octet-stream"),
    )
}

fn declared(headers: &HeaderMap, body: &RequestBody) -> Result<Declared, Failure> {
    let range = match headers.get(CONTENT_RANGE) {
        None => None,
        Some(line) => {
            let range = line
                .to_str()
                .ok()
                .and_then(|text| ContentRange::parse(text).ok());
            Some(range.ok_or_else(|| {
                Failure::new(StatusCode::BAD_REQUEST, ErrorCode::BlobUploadInvalid)
                    .message("the Content-Range of a chunk is <first byte>-<last byte>")
            })?)
        }
    };
    Ok(Declared {
        range,
        length: body.content_length(),
    })
}
