//! Manifests, read strictly from the very bytes that are stored.
//!
//! A document has one type, decided once: the Content-Type it was pushed with, its own `mediaType`
//! and its structure must agree. What could be read as an image by one client and as an index by
//! another is refused (CVE-2021-41190).

use std::collections::BTreeMap;

use crate::descriptor::Descriptor;
use crate::fields::Fields;
use crate::media_type::MediaType;
use crate::strict_json::{self, Json};

/// Which of the four kinds of manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ManifestKind {
    /// OCI image manifest, artifacts included.
    OciImage,
    /// OCI image index.
    OciIndex,
    /// Docker image manifest, version 2, schema 2.
    DockerImage,
    /// Docker manifest list.
    DockerList,
}

impl ManifestKind {
    fn of(media_type: &MediaType) -> Option<Self> {
        [
            Self::OciImage,
            Self::OciIndex,
            Self::DockerImage,
            Self::DockerList,
        ]
        .into_iter()
        .find(|kind| kind.media_type() == *media_type)
    }

    /// The type that manifests of the kind are stored and served with.
    #[must_use]
    pub const fn media_type(self) -> MediaType {
        match self {
            Self::OciImage => MediaType::OCI_IMAGE,
            Self::OciIndex => MediaType::OCI_INDEX,
            Self::DockerImage => MediaType::DOCKER_IMAGE,
            Self::DockerList => MediaType::DOCKER_LIST,
        }
    }

    const fn is_index(self) -> bool {
        matches!(self, Self::OciIndex | Self::DockerList)
    }

    const fn is_docker(self) -> bool {
        matches!(self, Self::DockerImage | Self::DockerList)
    }
}

/// What the registry needs to know of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Which kind it is.
    pub kind: ManifestKind,
    /// The type that it is stored and served with.
    pub media_type: MediaType,
    /// Type of the artifact as referrers show it: `artifactType`, else an image's config type.
    pub artifact_type: Option<String>,
    /// An image's config.
    pub config: Option<Descriptor>,
    /// An image's layers.
    pub layers: Vec<Descriptor>,
    /// An index's manifests.
    pub children: Vec<Descriptor>,
    /// What the manifest refers to.
    pub subject: Option<Descriptor>,
    /// Free text by name.
    pub annotations: BTreeMap<String, String>,
}

/// Why a document is no manifest, in words for the client.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not JSON, or JSON that the registry refuses to guess about.
    #[error("not a strict JSON document: {0}")]
    Json(#[from] serde_json::Error),
    /// Neither Content-Type nor `mediaType` says what it is.
    #[error("the manifest has no media type: send a Content-Type, or a mediaType in the document")]
    NoType,
    /// A type that is none of the four.
    #[error(
        "unsupported manifest media type {0}: push an OCI image manifest or index, or a docker schema 2 manifest or list"
    )]
    UnsupportedType(MediaType),
    /// Docker's schema 1.
    #[error(
        "docker schema 1 manifests are not supported: pull the image with a current client and push it again, or convert it with `skopeo copy --format v2s2`"
    )]
    Schema1,
    /// The retired artifact manifest.
    #[error(
        "OCI artifact manifests are retired: push the artifact as an image manifest with an artifactType"
    )]
    ArtifactManifest,
    /// Content-Type and document disagree.
    #[error("the Content-Type is {content_type}, but the document's mediaType is {media_type}")]
    TypeMismatch {
        /// What the request says.
        content_type: MediaType,
        /// What the document says.
        media_type: MediaType,
    },
    /// `schemaVersion` is not 2.
    #[error("schemaVersion must be 2")]
    SchemaVersion,
    /// A field has no business in this kind of manifest, is missing or has a wrong value.
    #[error("{name} {problem}")]
    Field {
        /// Its path.
        name: String,
        /// What is wrong.
        problem: String,
    },
}

impl ManifestError {
    pub(crate) fn field(path: &str, problem: &str) -> Self {
        let name = if path.is_empty() {
            "the document"
        } else {
            path
        };
        Self::Field {
            name: name.to_owned(),
            problem: problem.to_owned(),
        }
    }
}

const KEYS: &[&str] = &[
    "schemaVersion",
    "mediaType",
    "artifactType",
    "config",
    "layers",
    "manifests",
    "subject",
    "annotations",
    "fsLayers",
    "blobs",
    "signatures",
];

impl Manifest {
    /// Reads a document that was pushed with `content_type`.
    ///
    /// # Errors
    /// Which rule it breaks.
    pub fn parse(content_type: Option<&MediaType>, body: &[u8]) -> Result<Self, ManifestError> {
        if let Some(content_type) = content_type {
            refuse_retired(content_type)?;
        }
        let json = strict_json::read(body)?;
        let fields = Fields::of(&json, "", KEYS)?;
        let kind = kind(content_type, &fields)?;
        let artifact_type = fields.text("artifactType")?.filter(|text| !text.is_empty());
        let descriptor = |key: &str| {
            fields
                .get(key)
                .map(|json| Descriptor::from_json(json, key))
                .transpose()
        };
        let mut manifest = Self {
            kind,
            media_type: kind.media_type(),
            artifact_type: artifact_type.map(str::to_owned),
            config: None,
            layers: Vec::new(),
            children: Vec::new(),
            subject: descriptor("subject")?,
            annotations: fields.annotations()?,
        };
        if kind.is_index() {
            refuse_fields(
                &fields,
                &["config", "layers"],
                "does not belong in an index",
            )?;
            manifest.children = descriptors(&fields, "manifests")?;
        } else {
            refuse_fields(
                &fields,
                &["manifests"],
                "does not belong in an image manifest",
            )?;
            let config =
                descriptor("config")?.ok_or_else(|| fields.wrong("config", "is missing"))?;
            manifest.artifact_type = manifest
                .artifact_type
                .or_else(|| Some(config.media_type.as_str().to_owned()));
            manifest.config = Some(config);
            manifest.layers = descriptors(&fields, "layers")?;
        }
        Ok(manifest)
    }
}

fn kind(
    content_type: Option<&MediaType>,
    fields: &Fields<'_, '_>,
) -> Result<ManifestKind, ManifestError> {
    if fields.has("fsLayers") || fields.get("schemaVersion") == Some(&Json::Size(1)) {
        return Err(ManifestError::Schema1);
    }
    let media_type = fields.own_media_type()?;
    if let Some(media_type) = &media_type {
        refuse_retired(media_type)?;
    }
    let decided = match (content_type, &media_type) {
        (Some(content_type), Some(media_type)) if content_type != media_type => {
            let (content_type, media_type) = (content_type.clone(), media_type.clone());
            return Err(ManifestError::TypeMismatch {
                content_type,
                media_type,
            });
        }
        (Some(decided), _) | (None, Some(decided)) => decided,
        (None, None) => return Err(ManifestError::NoType),
    };
    let kind =
        ManifestKind::of(decided).ok_or_else(|| ManifestError::UnsupportedType(decided.clone()))?;
    if fields.get("schemaVersion") != Some(&Json::Size(2)) {
        return Err(ManifestError::SchemaVersion);
    }
    if kind.is_docker() && media_type.is_none() {
        return Err(fields.wrong("mediaType", "is missing, which docker manifests must have"));
    }
    Ok(kind)
}

fn refuse_retired(media_type: &MediaType) -> Result<(), ManifestError> {
    match media_type.as_str() {
        "application/vnd.docker.distribution.manifest.v1+json"
        | "application/vnd.docker.distribution.manifest.v1+prettyjws" => {
            Err(ManifestError::Schema1)
        }
        "application/vnd.oci.artifact.manifest.v1+json" => Err(ManifestError::ArtifactManifest),
        _ => Ok(()),
    }
}

fn refuse_fields(
    fields: &Fields<'_, '_>,
    keys: &[&str],
    problem: &str,
) -> Result<(), ManifestError> {
    match keys.iter().find(|key| fields.get(key).is_some()) {
        Some(key) => Err(fields.wrong(key, problem)),
        None => Ok(()),
    }
}

fn descriptors(fields: &Fields<'_, '_>, key: &str) -> Result<Vec<Descriptor>, ManifestError> {
    // An empty list that a Go program never made is written as null.
    let items = match fields.list(key)? {
        Some(items) => items,
        None if fields.has(key) => &[],
        None => return Err(fields.wrong(key, "is missing")),
    };
    let descriptor = |(at, item)| Descriptor::from_json(item, &format!("{key}[{at}]"));
    items.iter().enumerate().map(descriptor).collect()
}

#[cfg(test)]
mod tests;
