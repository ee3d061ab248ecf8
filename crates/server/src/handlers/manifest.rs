//! `/v2/<name>/manifests/<reference>` (OCI distribution end-3, end-7, end-9).

use std::sync::LazyLock;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, ETAG, LOCATION};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use roadstead_oci::{
    Action, ActionSet, Digest, ErrorCode, MediaType, Reference, RepositoryName, Tag,
};
use roadstead_registry::{BodyFailure, DockerAccept, ManifestSummary};
use tokio::sync::SemaphorePermit;
use tokio::time::Instant;

use crate::app::{Answer, App, Call};
use crate::body::{RequestBody, ResponseBody};
use crate::conditional::{Validators, Verdict};
use crate::error::Failure;
use crate::headers::{CONTENT_DIGEST, OCI_SUBJECT, OCI_TAG, empty, value};
use crate::room::Room;

pub(crate) async fn handle(
    app: &App,
    name: &RepositoryName,
    reference: &Reference,
    call: Call,
) -> Answer {
    match *call.method() {
        Method::PUT => Box::pin(put(app, name, reference, call)).await,
        Method::DELETE => Box::pin(delete(app, name, reference, call)).await,
        _ => get(app, name, reference, call).await,
    }
}

async fn get(app: &App, name: &RepositoryName, reference: &Reference, call: Call) -> Answer {
    let grant = call.caller.grant(name, ActionSet::PULL)?;
    let accept = || docker_accept(call.headers());
    if *call.method() == Method::HEAD {
        let summary = app
            .registry
            .manifest_summary(&grant, reference, accept)
            .await?;
        return respond(&call, &summary, None);
    }
    let row = app.registry.manifest(&grant, reference, accept).await?;
    let summary = ManifestSummary {
        digest: row.digest,
        media_type: row.media_type,
        size_bytes: row.size_bytes,
        pushed_at: row.pushed_at,
    };
    respond(&call, &summary, Some(row.body))
}

fn respond(call: &Call, manifest: &ManifestSummary, body: Option<Bytes>) -> Answer {
    let validators = Validators::new(manifest.digest, None);
    let verdict = validators.verdict(call.headers());
    let mut response = match verdict {
        Verdict::Failed => return Err(precondition_failed()),
        Verdict::NotModified => empty(StatusCode::NOT_MODIFIED),
        Verdict::Proceed => {
            let mut response =
                Response::new(body.map_or_else(ResponseBody::empty, ResponseBody::full));
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, media_type(&manifest.media_type));
            headers.insert(CONTENT_LENGTH, HeaderValue::from(manifest.size_bytes));
            response
        }
    };
    let headers = response.headers_mut();
    headers.insert(ETAG, validators.etag);
    headers.insert(CONTENT_DIGEST, validators.digest);
    Ok(response)
}

/// The headers of the types that almost all manifests have are made once.
static KNOWN_TYPES: LazyLock<[(MediaType, HeaderValue); 4]> = LazyLock::new(|| {
    let known = [
        MediaType::OCI_IMAGE,
        MediaType::OCI_INDEX,
        MediaType::DOCKER_IMAGE,
        MediaType::DOCKER_LIST,
    ];
    known.map(|known| {
        let header = value(known.as_str());
        (known, header)
    })
});

fn media_type(of: &MediaType) -> HeaderValue {
    let known = KNOWN_TYPES.iter().find(|(known, _)| known == of);
    known.map_or_else(|| value(of.as_str()), |(_, header)| header.clone())
}

async fn put(app: &App, name: &RepositoryName, reference: &Reference, call: Call) -> Answer {
    let overwrite = ActionSet::NONE.with(Action::Overwrite);
    let grant = call.caller.grant_also(name, ActionSet::PUSH, overwrite)?;
    let tags = wanted_tags(reference, &call)?;
    let content_type = content_type(call.headers())?;
    let context = call.context();
    app.registry
        .room(call.asked.body.content_length().unwrap_or(0))?;
    let held = read(
        call.asked.body,
        app.settings.manifest_bytes_max,
        &app.manifest_room,
    )
    .await?;
    let pushed = app
        .registry
        .put_manifest(
            &grant,
            reference,
            tags.clone(),
            content_type,
            held.bytes.clone(),
            context,
        )
        .await?;
    let mut response = empty(StatusCode::CREATED);
    let headers = response.headers_mut();
    headers.insert(
        LOCATION,
        value(
            &app.urls_for(&call.asked.client)
                .manifest(name, &pushed.digest),
        ),
    );
    headers.insert(CONTENT_DIGEST, value(&pushed.digest.to_string()));
    if let Some(subject) = pushed.subject {
        headers.insert(OCI_SUBJECT, value(&subject.to_string()));
    }
    for tag in tags {
        headers.append(OCI_TAG, value(tag.as_str()));
    }
    Ok(response)
}

async fn delete(app: &App, name: &RepositoryName, reference: &Reference, call: Call) -> Answer {
    let grant = call.caller.grant(name, ActionSet::DELETE)?;
    match reference {
        Reference::Tag(tag) => app.registry.delete_tag(&grant, tag, call.context()).await?,
        Reference::Digest(digest) => {
            app.registry
                .delete_manifest(&grant, digest, call.context())
                .await?;
        }
    }
    Ok(empty(StatusCode::ACCEPTED))
}

/// The tags of `?tag=` (end-7b), which go with a push by digest.
fn wanted_tags(reference: &Reference, call: &Call) -> Result<Vec<Tag>, Failure> {
    let mut tags: Vec<Tag> = Vec::new();
    for text in call.query.all("tag") {
        let tag = Tag::parse(text).map_err(|error| {
            Failure::new(StatusCode::BAD_REQUEST, ErrorCode::TagInvalid)
                .message("invalid tag")
                .detail(error.to_string())
        })?;
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    if !tags.is_empty() && matches!(reference, Reference::Tag(_)) {
        return Err(Failure::new(StatusCode::BAD_REQUEST, ErrorCode::TagInvalid)
            .message("tag parameters go with a push by digest; this one names a tag in its path"));
    }
    Ok(tags)
}

fn content_type(headers: &HeaderMap) -> Result<Option<MediaType>, Failure> {
    let Some(line) = headers.get(CONTENT_TYPE) else {
        return Ok(None);
    };
    let parsed = line
        .to_str()
        .ok()
        .and_then(|text| MediaType::parse(text).ok());
    parsed.map(Some).ok_or_else(|| {
        Failure::new(StatusCode::BAD_REQUEST, ErrorCode::ManifestInvalid)
            .detail("the Content-Type is not a media type")
    })
}

/// A body in memory, and its share of the room that all of them have.
struct Held<'a> {
    bytes: Bytes,
    _room: Option<SemaphorePermit<'a>>,
}

/// Reads a body of at most `max` bytes; a longer one is refused as soon as that is known. Small ones
/// never wait; large ones wait for room, so that many at once do not fill the memory.
async fn read(mut body: RequestBody, max: usize, room: &Room) -> Result<Held<'_>, Failure> {
    let too_large = || {
        Failure::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::ManifestInvalid)
            .message(format!("a manifest has at most {max} bytes"))
    };
    let declared = match body.content_length().map(usize::try_from) {
        Some(Ok(declared)) if declared <= max => Some(declared),
        Some(_) => return Err(too_large()),
        None => None,
    };
    let mut taken = None;
    let mut whole = BytesMut::with_capacity(declared.unwrap_or(0).min(SMALL_BYTES));
    // Room is short: who has some must use it, or others would wait for a client that does not.
    let mut until = Instant::now() + FOREVER;
    loop {
        let next = tokio::time::timeout_at(until, body.next()).await;
        let Some(chunk) = next.map_err(|_| BodyFailure::TooSlow)? else {
            break;
        };
        let chunk = chunk?;
        let length = whole.len() + chunk.len();
        if length > max {
            return Err(too_large());
        }
        if length > SMALL_BYTES && taken.is_none() {
            let wanted = declared.unwrap_or(max);
            taken = room.take(wanted).await;
            until = Instant::now() + ROOM_TIME;
            whole.reserve(wanted - whole.len());
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(Held {
        bytes: whole.freeze(),
        _room: taken,
    })
}

/// For a large manifest to come, once there is room for it.
const ROOM_TIME: Duration = Duration::from_secs(60);
/// A body's own least speed ends it long before.
const FOREVER: Duration = Duration::from_secs(24 * 3600);
/// Bytes of a manifest that is read without asking for room: more than almost any has.
const SMALL_BYTES: usize = 64 << 10;

pub(crate) fn docker_accept(headers: &HeaderMap) -> DockerAccept {
    let names = |wanted: &MediaType| {
        headers
            .get_all(ACCEPT)
            .iter()
            .filter_map(|line| line.to_str().ok())
            .any(|line| {
                line.split(',').any(|item| {
                    item.split(';')
                        .next()
                        .is_some_and(|name| name.trim() == wanted.as_str())
                })
            })
    };
    DockerAccept {
        image: names(&MediaType::DOCKER_IMAGE),
        list: names(&MediaType::DOCKER_LIST),
    }
}

pub(crate) fn precondition_failed() -> Failure {
    Failure::new(StatusCode::PRECONDITION_FAILED, ErrorCode::Unsupported)
        .message("the content is not the one that the condition names")
}

/// The digest of a `digest` parameter.
pub(crate) fn digest_parameter(text: &str) -> Result<Digest, Failure> {
    Digest::parse(text).map_err(|error| {
        Failure::new(StatusCode::BAD_REQUEST, ErrorCode::DigestInvalid)
            .message("the digest cannot be read")
            .detail(error.to_string())
    })
}
