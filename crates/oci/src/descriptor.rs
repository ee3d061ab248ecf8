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
        fields.text("data")?;
        Ok(Self {
            media_type: media_type.ok_or_else(|| fields.wrong("mediaType", "is missing"))?,
            digest,
            size: fields.size("size")?,
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

fn platform(json: &Json<'_>, path: &str) -> Result<Platform, ManifestError> {
    let path = format!("{path}.platform");
    let fields = Fields::of(json, &path, &["architecture", "os"])?;
    Ok(Platform {
        architecture: fields.text("architecture")?.unwrap_or_default().to_owned(),
        os: fields.text("os")?.unwrap_or_default().to_owned(),
    })
}
