//! The one place that reads a request's path: a pure function from text to what it names.
//!
//! Paths are read as they came: decoded once, never normalised, never redirected. Nothing below
//! this module sees raw text, and no name is ever part of a file's path.

use std::borrow::Cow;

use http::Method;
use roadstead_oci::{Digest, Reference, RepositoryName};
use roadstead_registry::UploadId;

use crate::query::decode;

/// What a path names. Endpoint numbers are those of the OCI distribution specification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// `/`: answers load balancers, whatever the prefix.
    Root,
    /// `/v2/` (end-1).
    Base,
    /// `/auth/token`: the built-in token server.
    Token,
    /// `/v2/_catalog`.
    Catalog,
    /// `/v2/<name>/tags/list` (end-8).
    Tags(RepositoryName),
    /// `/v2/<name>/manifests/<reference>` (end-3, end-7, end-9).
    Manifest(RepositoryName, Reference),
    /// `/v2/<name>/blobs/<digest>` (end-2, end-10).
    Blob(RepositoryName, Digest),
    /// `/v2/<name>/blobs/uploads/` (end-4, end-11).
    Uploads(RepositoryName),
    /// `/v2/<name>/blobs/uploads/<id>` (end-5, end-6, end-13, end-14).
    Upload(RepositoryName, UploadId),
    /// `/v2/<name>/referrers/<digest>` (end-12).
    Referrers(RepositoryName, Digest),
}

/// Why a path names nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RouteError {
    /// No endpoint has such a path.
    Unknown,
    /// The path has characters or escapes that no endpoint takes.
    Malformed,
    /// The repository's name breaks the grammar.
    Name(String),
    /// The digest breaks the grammar.
    Digest(String),
    /// The tag breaks the grammar.
    Tag(String),
    /// The upload's id is none.
    Upload,
}

impl Route {
    /// Reads a raw path, below `prefix` (which begins and ends with a slash).
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(path: &str, prefix: &str) -> Result<Self, RouteError> {
        if path == "/" {
            return Ok(Self::Root);
        }
        let rest = path.strip_prefix(prefix).ok_or(RouteError::Unknown)?;
        if rest == "v2" {
            return Ok(Self::Base);
        }
        if rest == TOKEN_PATH {
            return Ok(Self::Token);
        }
        let rest = rest.strip_prefix("v2/").ok_or(RouteError::Unknown)?;
        if rest.is_empty() {
            return Ok(Self::Base);
        }
        if rest == "_catalog" {
            return Ok(Self::Catalog);
        }
        let rest = clean(rest)?;
        let segments: Vec<&str> = rest.split('/').collect();
        match segments.as_slice() {
            [name @ .., "tags", "list"] => Ok(Self::Tags(repository(&rest, name)?)),
            [name @ .., "manifests", reference] => Ok(Self::Manifest(
                repository(&rest, name)?,
                parse_reference(reference)?,
            )),
            [name @ .., "blobs", "uploads" | "uploads/"] | [name @ .., "blobs", "uploads", ""] => {
                Ok(Self::Uploads(repository(&rest, name)?))
            }
            [name @ .., "blobs", "uploads", id] => {
                let name = repository(&rest, name)?;
                Ok(Self::Upload(
                    name,
                    UploadId::parse(id).ok_or(RouteError::Upload)?,
                ))
            }
            [name @ .., "blobs", digest] => {
                Ok(Self::Blob(repository(&rest, name)?, parse_digest(digest)?))
            }
            [name @ .., "referrers", digest] => Ok(Self::Referrers(
                repository(&rest, name)?,
                parse_digest(digest)?,
            )),
            _ => Err(RouteError::Unknown),
        }
    }

    /// The methods that the endpoint has, sorted; OPTIONS is answered everywhere.
    pub(crate) fn methods(&self) -> &'static [Method] {
        match self {
            Self::Root | Self::Base => &ANY,
            Self::Token => &[Method::GET, Method::POST],
            Self::Catalog | Self::Tags(_) | Self::Referrers(..) => &[Method::GET, Method::HEAD],
            Self::Manifest(..) => &[Method::DELETE, Method::GET, Method::HEAD, Method::PUT],
            Self::Blob(..) => &[Method::DELETE, Method::GET, Method::HEAD],
            Self::Uploads(_) => &[Method::POST],
            Self::Upload(..) => &[
                Method::DELETE,
                Method::GET,
                Method::HEAD,
                Method::PATCH,
                Method::PUT,
            ],
        }
    }

    /// The endpoint's name in logs: one of few, whatever clients ask for.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Base => "base",
            Self::Token => "token",
            Self::Catalog => "catalog",
            Self::Tags(_) => "tags",
            Self::Manifest(..) => "manifest",
            Self::Blob(..) => "blob",
            Self::Uploads(_) => "blob_upload",
            Self::Upload(..) => "blob_upload_chunk",
            Self::Referrers(..) => "referrers",
        }
    }

    /// The repository that the path names, if any.
    pub(crate) fn repository(&self) -> Option<&RepositoryName> {
        match self {
            Self::Root | Self::Base | Self::Token | Self::Catalog => None,
            Self::Tags(name)
            | Self::Manifest(name, _)
            | Self::Blob(name, _)
            | Self::Uploads(name)
            | Self::Upload(name, _)
            | Self::Referrers(name, _) => Some(name),
        }
    }
}

/// Where the token server is, below the prefix.
pub(crate) const TOKEN_PATH: &str = "auth/token";

static ANY: [Method; 6] = [
    Method::DELETE,
    Method::GET,
    Method::HEAD,
    Method::PATCH,
    Method::POST,
    Method::PUT,
];

/// Decodes once and refuses what could be read as another path by anything before or after us.
fn clean(rest: &str) -> Result<Cow<'_, str>, RouteError> {
    let decoded = decode(rest).ok_or(RouteError::Malformed)?;
    let slashes = |text: &str| text.bytes().filter(|byte| *byte == b'/').count();
    let hides_a_slash = matches!(decoded, Cow::Owned(_)) && slashes(&decoded) != slashes(rest);
    // Without a way out half-way, which would be a step for each byte.
    let odd = |byte: u8| byte.is_ascii_control() || matches!(byte, b'\\' | b';' | b'%');
    let is_odd = decoded.bytes().fold(false, |found, byte| found | odd(byte))
        || (!decoded.is_ascii() && decoded.contains(char::is_control));
    // Only `blobs/uploads/` ends with a slash.
    let inner = decoded.strip_suffix("/blobs/uploads/").unwrap_or(&decoded);
    if hides_a_slash || is_odd || has_empty_or_dots(inner.as_bytes()) {
        return Err(RouteError::Malformed);
    }
    Ok(decoded)
}

/// Whether a part between slashes is empty, or only of one or two dots.
fn has_empty_or_dots(path: &[u8]) -> bool {
    let mut begin = 0;
    let mut ends = memchr::memchr_iter(b'/', path).chain([path.len()]);
    ends.any(|end| {
        let part = &path[begin..end];
        begin = end + 1;
        matches!(part, b"" | b"." | b"..")
    })
}

/// The name that the path begins with, whose segments these are.
fn repository(path: &str, segments: &[&str]) -> Result<RepositoryName, RouteError> {
    let bytes = segments.iter().map(|segment| segment.len() + 1).sum();
    let Some(end) = usize::checked_sub(bytes, 1) else {
        return Err(RouteError::Unknown);
    };
    RepositoryName::parse(&path[..end]).map_err(|error| RouteError::Name(error.to_string()))
}

fn parse_digest(text: &str) -> Result<Digest, RouteError> {
    Digest::parse(text).map_err(|error| RouteError::Digest(error.to_string()))
}

fn parse_reference(text: &str) -> Result<Reference, RouteError> {
    Reference::parse(text).map_err(|error| {
        if text.contains(':') {
            RouteError::Digest(error.to_string())
        } else {
            RouteError::Tag(error.to_string())
        }
    })
}

#[cfg(test)]
mod tests;
