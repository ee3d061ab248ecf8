//! The parsers of this crate for the fuzz targets, with what holds of them for every input. Only
//! built for those.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, Request, Version};
use roadstead_oci::{PageSize, Reference};

use crate::conditional::{Validators, Verdict};
use crate::handlers::manifest::docker_accept;
use crate::head::Heads;
use crate::headers::Urls;
use crate::perimeter::forwarded::{self, Hop};
use crate::perimeter::proxy_protocol;
use crate::query::Query;
use crate::routes::{Route, RouteError};
use crate::strict;

/// The path of a request: whatever it names, the canonical path of that names it again.
pub fn route(path: &str, prefix: &str) {
    let route = match Route::parse(path, prefix) {
        Ok(route) => route,
        Err(RouteError::Name(text) | RouteError::Digest(text) | RouteError::Tag(text)) => {
            // What stands in an answer must be a text of one line.
            assert!(!text.contains(['\r', '\n']), "{text:?}");
            return;
        }
        Err(RouteError::Unknown | RouteError::Malformed | RouteError::Upload) => return,
    };
    assert!(!route.methods().is_empty() && !route.label().is_empty());
    let urls = Urls::new(None, prefix);
    let canonical = match &route {
        Route::Root | Route::Base | Route::Token | Route::Catalog => return,
        Route::Tags(name) => format!("{prefix}v2/{name}/tags/list"),
        Route::Manifest(name, Reference::Digest(digest)) => urls.manifest(name, digest),
        Route::Manifest(name, tag) => format!("{prefix}v2/{name}/manifests/{tag}"),
        Route::Blob(name, digest) => urls.blob(name, digest),
        Route::Uploads(name) => format!("{prefix}v2/{name}/blobs/uploads/"),
        Route::Upload(name, id) => urls.upload(name, *id),
        Route::Referrers(name, digest) => format!("{prefix}v2/{name}/referrers/{digest}"),
    };
    assert_eq!(Route::parse(&canonical, prefix), Ok(route), "{path:?}");
    let next = urls.next("_catalog", &[("last", path)]);
    HeaderValue::from_str(&next).expect("a Link for any text");
}

/// The query of a request: bounded, and decoded once.
pub fn query(text: &str, max: u32) {
    let Ok(query) = Query::parse(Some(text)) else {
        return;
    };
    let tags = query.all("tag").count();
    assert!(tags <= 128);
    for name in ["n", "last", "digest", "mount", "from", "artifactType"] {
        let Ok(Some(value)) = query.one(name) else {
            continue;
        };
        assert!(value.len() <= text.len());
        if let Ok(size) = PageSize::parse(value) {
            assert!(size.clamp(max) <= max);
        }
    }
    // A Link that carries a value brings exactly that value back.
    if let Ok(Some(last)) = query.one("last") {
        let link = Urls::new(None, "/").next("_catalog", &[("last", last), ("n", "1")]);
        let back = link.split_once('?').map(|(_, rest)| rest);
        let back = back.and_then(|rest| rest.strip_suffix(">; rel=\"next\""));
        let back = Query::parse(back).expect("our own link");
        assert_eq!(back.one("last"), Ok(Some(last)));
    }
}

/// The raw bytes of a connection: what is seen of them does not depend on how they are cut.
pub fn heads(bytes: &[u8], cut: usize) {
    let mut whole = Heads::new(1_000);
    let mut parts = Heads::new(1_000);
    let at_once = whole.look(bytes);
    let cut = cut.clamp(1, 64);
    let piecemeal = bytes.chunks(cut).try_for_each(|part| parts.look(part));
    assert_eq!(at_once, piecemeal);
    if at_once.is_err() {
        return;
    }
    assert_eq!(whole.complete(), parts.complete());
    assert_eq!(whole.ambiguous(), parts.ambiguous());
    assert_eq!(whole.is_within_head(), parts.is_within_head());
    let ambiguous = whole.ambiguous().unwrap_or_default();
    assert!(ambiguous <= whole.complete() && whole.complete() <= bytes.len() as u64);
    // Where the place was lost, a head is counted again from the one that is said to have come.
    whole.resume(7);
    assert!(!whole.is_within_head() || parts.is_within_head());
}

/// Header fields, one a line, `name: value`: framing, host, conditions, Accept.
pub fn fields(lines: &[u8]) {
    let headers = headers_of(lines);
    let lengths = headers.get_all(http::header::CONTENT_LENGTH).iter().count();
    let encodings = headers
        .get_all(http::header::TRANSFER_ENCODING)
        .iter()
        .count();
    let hosts = headers.get_all(http::header::HOST).iter().count();
    let mut request = Request::new(());
    *request.version_mut() = Version::HTTP_11;
    *request.headers_mut() = headers;
    if strict::check(&request).is_ok() {
        assert!(lengths + encodings <= 1 && hosts == 1);
    }
    let headers = request.headers();
    let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    let validators = Validators::new("sha256:a", Some(changed));
    let verdict = validators.verdict(headers);
    if verdict == Verdict::NotModified {
        assert!(headers.keys().any(|name| name.as_str().starts_with("if-")));
    }
    let _ = validators.range_applies(headers);
    let accept = docker_accept(headers);
    if accept.image || accept.list {
        assert!(headers.contains_key(http::header::ACCEPT));
    }
}

/// Header fields, one a line.
fn headers_of(lines: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n').take(64) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
        else {
            continue;
        };
        headers.append(name, value);
    }
    headers
}

/// What a trusted proxy says: an address that is no IPv4 address in disguise, a host that can stand
/// in a URL, and whatever a client has sent before, no other client.
pub fn forwarded(lines: &[u8]) {
    let trusted = |address: IpAddr| matches!(address, IpAddr::V4(it) if it.octets()[0] == 10);
    let mut headers = headers_of(lines);
    let said = forwarded::read(&headers, trusted);
    if let Hop::Address(address) = said.client {
        assert_eq!(address, address.to_canonical());
    }
    if let Some(host) = said.host {
        let uri: http::Uri = format!("https://{host}/").parse().expect("a URL");
        assert_eq!(
            uri.authority().map(http::uri::Authority::as_str),
            Some(&*host)
        );
    }
    headers.append(
        "x-forwarded-for",
        HeaderValue::from_static("192.0.2.1, 10.0.0.1"),
    );
    let said = forwarded::read(&headers, trusted);
    let client = Hop::Address([192, 0, 2, 1].into());
    assert!([client, Hop::Unknown].contains(&said.client), "{said:?}");
}

/// A PROXY header of either version.
pub fn proxy_protocol(bytes: &[u8]) {
    let _ = proxy_protocol::version_1(bytes);
    if let [command, family, rest @ ..] = bytes {
        let _ = proxy_protocol::version_2(*command, *family, rest);
    }
}
