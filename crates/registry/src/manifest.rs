//! Manifests: immutable by digest, named by tags that move.

use std::sync::Arc;

use bytes::Bytes;
use roadstead_failpoint::failpoint;
use roadstead_metadata::{ManifestRow, ManifestSummary, Metadata, NewManifest, PutManifest};
use roadstead_oci::{Action, Algorithm, Digest, Grant, Manifest, MediaType, Reference, Tag};

use crate::error::Error;
use crate::hashing::digest_of;
use crate::referrer;
use crate::registry::{Context, Registry};

/// A manifest that was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushedManifest {
    /// Its digest, in the algorithm that the client used.
    pub digest: Digest,
    /// What it refers to (OCI-Subject).
    pub subject: Option<Digest>,
}

/// Which docker types a client names in Accept. It matters in one case only, see
/// [`Registry::manifest`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DockerAccept {
    /// `application/vnd.docker.distribution.manifest.v2+json`.
    pub image: bool,
    /// `application/vnd.docker.distribution.manifest.list.v2+json`.
    pub list: bool,
}

/// A client from before manifest lists gets the linux/amd64 child of a docker list that it asks for
/// by tag, as from `distribution`. What it accepts is asked for where that matters alone.
fn wants_child(
    reference: &Reference,
    media_type: &MediaType,
    accept: impl FnOnce() -> DockerAccept,
) -> bool {
    if *media_type != MediaType::DOCKER_LIST || !matches!(reference, Reference::Tag(_)) {
        return false;
    }
    let DockerAccept { image, list } = accept();
    image && !list
}

impl Registry {
    /// Stores a manifest and sets tags to it, all or nothing (end-7a, end-7b).
    ///
    /// # Errors
    /// [`Error::ManifestInvalid`], [`Error::DigestMismatch`], [`Error::LayerUrl`],
    /// [`Error::ReferencesUnknown`], [`Error::ReferenceSize`]; the modes' refusals.
    pub async fn put_manifest(
        self: &Arc<Self>,
        grant: &Grant,
        reference: &Reference,
        mut tags: Vec<Tag>,
        content_type: Option<MediaType>,
        body: Bytes,
        context: Context,
    ) -> Result<PushedManifest, Error> {
        self.writable(grant)?;
        let algorithm = match reference {
            Reference::Digest(digest) => digest.algorithm(),
            Reference::Tag(tag) => {
                tags.push(tag.clone());
                Algorithm::Sha256
            }
        };
        let digest = digest_of(algorithm, &body);
        if let Reference::Digest(expected) = reference
            && *expected != digest
        {
            return Err(Error::DigestMismatch {
                expected: *expected,
                actual: digest,
            });
        }
        let manifest = Manifest::parse(content_type.as_ref(), &body)?;
        let edges = self.settings.validation.edges(&manifest)?;
        let subject = manifest.subject.as_ref().map(|subject| subject.digest);
        failpoint!("registry::manifest::put");
        let put = self
            .metadata
            .put_manifest(NewManifest {
                repository: grant.repository().clone(),
                digest,
                referrer: subject.map(|_| referrer::descriptor(&manifest, &digest, body.len())),
                media_type: manifest.media_type,
                artifact_type: manifest.artifact_type,
                subject,
                body,
                blobs: edges.blobs,
                children: edges.children,
                tags,
                overwrite: grant.permits(Action::Overwrite),
                origin: context,
            })
            .await
            .map_err(|error| self.seen(error))?;
        failpoint!("registry::manifest::stored");
        match put {
            PutManifest::Stored { .. } => Ok(PushedManifest { digest, subject }),
            PutManifest::Missing(digests) => Err(Error::ReferencesUnknown(digests)),
            PutManifest::SizeMismatch(sizes) => Err(Error::ReferenceSize(sizes)),
            PutManifest::TagsTaken(tags) => Err(Error::TagsTaken(tags)),
        }
    }

    /// A manifest with its bytes (end-3), whatever the client accepts, save that a client which
    /// names docker's image type but not its list type gets the linux/amd64 child of a docker list.
    ///
    /// # Errors
    /// [`Error::ManifestUnknown`].
    pub async fn manifest(
        &self,
        grant: &Grant,
        reference: &Reference,
        accept: impl Fn() -> DockerAccept,
    ) -> Result<ManifestRow, Error> {
        self.require(grant, Action::Pull)?;
        let unknown = || Error::ManifestUnknown(reference.clone());
        let row = self
            .metadata
            .manifest(grant.repository(), reference)
            .await?
            .ok_or_else(unknown)?;
        if !wants_child(reference, &row.media_type, &accept) {
            return Ok(row);
        }
        let list = Manifest::parse(Some(&row.media_type), &row.body)?;
        let child = list.children.iter().find(|child| {
            child
                .platform
                .as_ref()
                .is_some_and(|p| p.architecture == "amd64" && p.os == "linux")
        });
        let child = Reference::Digest(child.ok_or_else(unknown)?.digest);
        self.metadata
            .manifest(grant.repository(), &child)
            .await?
            .ok_or_else(unknown)
    }

    /// What a HEAD needs of a manifest, without its bytes.
    ///
    /// # Errors
    /// [`Error::ManifestUnknown`].
    pub async fn manifest_summary(
        &self,
        grant: &Grant,
        reference: &Reference,
        accept: impl Fn() -> DockerAccept,
    ) -> Result<ManifestSummary, Error> {
        self.require(grant, Action::Pull)?;
        let unknown = || Error::ManifestUnknown(reference.clone());
        let summary = self
            .metadata
            .manifest_summary(grant.repository(), reference)
            .await?;
        let summary = summary.ok_or_else(unknown)?;
        if !wants_child(reference, &summary.media_type, &accept) {
            return Ok(summary);
        }
        let row = self.manifest(grant, reference, accept).await?;
        Ok(ManifestSummary {
            digest: row.digest,
            media_type: row.media_type,
            size_bytes: row.size_bytes,
            pushed_at: row.pushed_at,
        })
    }

    /// Makes a manifest invisible and removes the tags that point to it (end-9).
    ///
    /// # Errors
    /// [`Error::ManifestUnknown`]; the modes' refusals.
    pub async fn delete_manifest(
        &self,
        grant: &Grant,
        digest: &Digest,
        context: Context,
    ) -> Result<(), Error> {
        self.deletable(grant)?;
        failpoint!("registry::manifest::delete");
        let untagged = self
            .metadata
            .delete_manifest(grant.repository(), digest, context)
            .await?;
        failpoint!("registry::manifest::deleted");
        match untagged {
            Some(_) => Ok(()),
            None => Err(Error::ManifestUnknown(Reference::Digest(*digest))),
        }
    }
}
