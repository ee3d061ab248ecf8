//! Referrers: manifests whose `subject` is another one.
//!
//! A referrer's descriptor is made once, when it is pushed. What clients from before the referrers
//! API keep in a tag named after the subject is merged in when the list is read.

use std::collections::BTreeMap;

use bytes::Bytes;
use roadstead_metadata::Metadata;
use roadstead_oci::{Action, Descriptor, Digest, Grant, Manifest, Reference, Tag};
use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::registry::Registry;

/// A page of descriptors in digest order.
#[derive(Debug, Clone, Default)]
pub struct ReferrersPage {
    /// Descriptors as JSON.
    pub descriptors: Vec<Bytes>,
    /// The digest after which the next page begins, where there is one.
    pub next: Option<Digest>,
}

/// A descriptor and where it was found.
enum Listed {
    /// Made by the registry for a manifest that is visible.
    Own(Bytes),
    /// Written by a client into a fallback tag; the manifest may be gone.
    Fallback(Bytes),
}

/// Descriptors of a page at most.
const PAGE_DESCRIPTORS: u32 = 1_000;
/// Bytes of descriptors of a page at most.
const PAGE_BYTES: usize = 4 << 20;
/// Hex digits of the subject in a fallback tag (OCI distribution, "Referrers Tag Schema").
const FALLBACK_HEX: usize = 64;

impl Registry {
    /// A page of the manifests that refer to `subject`, which need not exist (end-12a, end-12b).
    ///
    /// # Errors
    /// Only of the store.
    pub async fn referrers(
        &self,
        grant: &Grant,
        subject: &Digest,
        artifact_type: Option<&str>,
        after: Option<&Digest>,
    ) -> Result<ReferrersPage, Error> {
        self.require(grant, Action::Pull)?;
        let page = self
            .metadata
            .referrers(
                grant.repository(),
                subject,
                artifact_type,
                after,
                PAGE_DESCRIPTORS,
                PAGE_BYTES,
            )
            .await?;
        let last = if page.more {
            page.items.last().map(|item| item.digest)
        } else {
            None
        };
        let mut merged: BTreeMap<Digest, Listed> = BTreeMap::new();
        for child in self.fallback(grant, subject).await? {
            let wanted = artifact_type
                .is_none_or(|wanted| child.artifact_type.as_deref() == Some(wanted))
                && after.is_none_or(|after| child.digest > *after)
                && last.is_none_or(|last| child.digest <= last);
            if wanted {
                merged.insert(child.digest, Listed::Fallback(of_child(&child)));
            }
        }
        // The registry's own descriptor wins over a client's copy of it.
        let own = page
            .items
            .into_iter()
            .map(|item| (item.digest, Listed::Own(item.descriptor)));
        merged.extend(own);
        self.cut(grant, merged, last).await
    }

    /// The children of the fallback tag's index, if there is one.
    async fn fallback(&self, grant: &Grant, subject: &Digest) -> Result<Vec<Descriptor>, Error> {
        let mut hex = subject.hex();
        hex.truncate(FALLBACK_HEX);
        let Ok(tag) = Tag::parse(&format!("{}-{hex}", subject.algorithm().as_str())) else {
            return Ok(Vec::new());
        };
        let reference = Reference::Tag(tag);
        let Some(row) = self
            .metadata
            .manifest(grant.repository(), &reference)
            .await?
        else {
            return Ok(Vec::new());
        };
        // A tag of that name may also be something else, which is then no list of referrers.
        let index = Manifest::parse(Some(&row.media_type), &row.body);
        Ok(index.map(|index| index.children).unwrap_or_default())
    }

    /// Cuts what was merged to a page, leaving out what only a fallback tag still names.
    async fn cut(
        &self,
        grant: &Grant,
        merged: BTreeMap<Digest, Listed>,
        last: Option<Digest>,
    ) -> Result<ReferrersPage, Error> {
        let mut page = ReferrersPage {
            descriptors: Vec::new(),
            next: last,
        };
        let (mut bytes, mut previous) = (0, None);
        for (digest, listed) in merged {
            let descriptor = match listed {
                Listed::Own(descriptor) => descriptor,
                Listed::Fallback(descriptor) => {
                    let reference = Reference::Digest(digest);
                    let found = self
                        .metadata
                        .manifest_summary(grant.repository(), &reference);
                    if found.await?.is_none() {
                        continue;
                    }
                    descriptor
                }
            };
            let full = page.descriptors.len() >= PAGE_DESCRIPTORS as usize
                || bytes + descriptor.len() > PAGE_BYTES;
            if full && let Some(previous) = previous {
                page.next = Some(previous);
                return Ok(page);
            }
            bytes += descriptor.len();
            page.descriptors.push(descriptor);
            previous = Some(digest);
        }
        Ok(page)
    }
}

/// The descriptor under which a manifest stands in its subject's list.
pub(crate) fn descriptor(manifest: &Manifest, digest: &Digest, size: usize) -> Bytes {
    let mut fields = Map::new();
    fields.insert("mediaType".into(), json!(manifest.media_type.as_str()));
    fields.insert("digest".into(), json!(digest.to_string()));
    fields.insert("size".into(), json!(size));
    describe(
        fields,
        manifest.artifact_type.as_deref(),
        &manifest.annotations,
    )
}

fn of_child(child: &Descriptor) -> Bytes {
    let mut fields = Map::new();
    fields.insert("mediaType".into(), json!(child.media_type.as_str()));
    fields.insert("digest".into(), json!(child.digest.to_string()));
    fields.insert("size".into(), json!(child.size));
    describe(fields, child.artifact_type.as_deref(), &child.annotations)
}

fn describe(
    mut fields: Map<String, Value>,
    artifact_type: Option<&str>,
    annotations: &BTreeMap<String, String>,
) -> Bytes {
    if let Some(artifact_type) = artifact_type {
        fields.insert("artifactType".into(), json!(artifact_type));
    }
    if !annotations.is_empty() {
        fields.insert("annotations".into(), json!(annotations));
    }
    Value::Object(fields).to_string().into()
}
