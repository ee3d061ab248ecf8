//! Descriptors: how a manifest names content (OCI image, "Content Descriptors").

use std::collections::BTreeMap;

use crate::digest::Digest;
use crate::fields::Fields;
use crate::manifest::ManifestError;
use crate::media_type::MediaType;
use crate::strict_json::Json;

/// Content named by type, digest and size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// What it is.
    pub media_type: MediaType,
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes, at most 2^63−1.
    pub size: u64,
    /// Where else it may be found. Data: the server never follows them.
    pub urls: Vec<String>,
    /// Free text by name.
    pub annotations: BTreeMap<String, String>,
    /// Type of the artifact, where the content is a manifest of one.
    pub artifact_type: Option<String>,
    /// What it runs on, where the content is a manifest in an index.
    pub platform: Option<Platform>,
}

/// What an image runs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// As GOARCH.
    pub architecture: String,
    /// As GOOS.
    pub os: String,
}

const KEYS: &[&str] = &[
    "mediaType",
    "digest",
    "size",
    "urls",
    "annotations",
    "artifactType",
    "platform",
    "data",
];

impl Descriptor {
    pub(crate) fn from_json(json: &Json<'_>, path: &str) -> Result<Self, ManifestError> {
        let fields = Fields::of(json, path, KEYS)?;
        let media_type = fields.media_type("mediaType")?;
        let digest = fields
            .text("digest")?
            .ok_or_else(|| fields.wrong("digest", "is missing"))?;
        let digest =
            Digest::parse(digest).map_err(|error| fields.wrong("digest", &error.to_string()))?;
        let size = fields.size("size")?;
        if let Some(data) = fields.text("data")? {
            check_data(data, size).map_err(|problem| fields.wrong("data", problem))?;
        }
        Ok(Self {
            media_type: media_type.ok_or_else(|| fields.wrong("mediaType", "is missing"))?,
            digest,
            size,
            urls: fields.texts("urls")?,
            annotations: fields.annotations()?,
            artifact_type: fields.text("artifactType")?.map(str::to_owned),
            platform: fields
                .get("platform")
                .map(|json| platform(json, path))
                .transpose()?,
        })
    }
}

/// Embedded content must be as long as the descriptor says. It is neither decoded nor hashed: the
/// server never serves from it.
fn check_data(data: &str, size: u64) -> Result<(), &'static str> {
    match base64_len(data) {
        None => Err("is not base64"),
        Some(length) if length != size => Err("has another length than size says"),
        Some(_) => Ok(()),
    }
}

/// Bytes that padded base64 (RFC 4648 §4) stands for; `None` if it is not that.
fn base64_len(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    if !text.len().is_multiple_of(4) || padding > 2 || !digits.bytes().all(is_digit) {
        return None;
    }
    u64::try_from(text.len() / 4 * 3 - padding).ok()
}

fn platform(json: &Json<'_>, path: &str) -> Result<Platform, ManifestError> {
    let path = format!("{path}.platform");
    let fields = Fields::of(json, &path, &["architecture", "os"])?;
    Ok(Platform {
        architecture: fields.text("architecture")?.unwrap_or_default().to_owned(),
        os: fields.text("os")?.unwrap_or_default().to_owned(),
    })
}

#[cfg(test)]
mod tests;
