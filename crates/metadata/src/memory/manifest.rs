//! Manifests and tags: T3 and the deletions of T4.

use std::collections::{BTreeSet, HashSet};

use roadstead_oci::{Digest, Reference, RepositoryName, Tag};

use crate::change::{Edge, NewManifest, Origin};
use crate::journal::{Change, Entry};
use crate::metadata::PutManifest;
use crate::rows::{ManifestRow, RepositoryId};

use super::Moment;
use super::state::{Manifest, State};

impl State {
    pub(super) fn put_manifest(&mut self, moment: Moment, new: NewManifest) -> PutManifest {
        let known = self.repository(&new.repository);
        if let Err(refused) = self.check_edges(known, &new) {
            return refused;
        }
        if let (false, Some(known)) = (new.overwrite, known) {
            let tags = self.tags.get(&known);
            let elsewhere = |tag: &&Tag| {
                let target = tags.and_then(|tags| tags.get(*tag));
                target.is_some_and(|target| *target != new.digest)
            };
            let taken: Vec<Tag> = new.tags.iter().filter(elsewhere).cloned().collect();
            if !taken.is_empty() {
                return PutManifest::TagsTaken(taken);
            }
        }
        let repository = self.ensure_repository(moment, &new.repository, &new.origin);
        if let Some(row) = self.repositories.get_mut(&new.repository) {
            row.listed = true;
        }
        let size_bytes = new.body.len() as u64;
        let created = self.set_manifest(moment, repository, &new);
        let media_type = match self.manifest_row(repository, &new.digest) {
            Some(stored) => stored.media_type.clone(),
            None => new.media_type.clone(),
        };
        let entry = Entry::new(Change::ManifestPush, repository, &new.repository)
            .digest(new.digest)
            .content(Some(&media_type), size_bytes);
        self.write_line(moment, entry, &new.origin);
        for tag in &new.tags {
            let tags = self.tags.entry(repository).or_default();
            let previous = tags.insert(tag.clone(), new.digest);
            if previous == Some(new.digest) {
                continue;
            }
            let entry = Entry::new(Change::TagSet, repository, &new.repository)
                .tag(tag)
                .digest(new.digest)
                .previous(previous)
                .content(Some(&media_type), size_bytes);
            self.write_line(moment, entry, &new.origin);
            if let Some(previous) = previous {
                self.lease_untagged(moment, repository, &previous);
            }
        }
        PutManifest::Stored { created }
    }

    fn check_edges(
        &self,
        repository: Option<RepositoryId>,
        new: &NewManifest,
    ) -> Result<(), PutManifest> {
        let blob = |digest: &Digest| {
            self.link(repository?, digest)?;
            self.object(digest).map(|object| object.size_bytes)
        };
        let child = |digest: &Digest| {
            self.manifest_row(repository?, digest)
                .map(|manifest| manifest.body.len() as u64)
        };
        let blobs = new.blobs.iter().map(|edge| (edge, blob(&edge.digest)));
        let children = new.children.iter().map(|edge| (edge, child(&edge.digest)));
        let mut missing = Vec::new();
        let mut wrong = Vec::new();
        let mut named = HashSet::new();
        for (edge, found) in blobs.chain(children) {
            match found {
                None if edge.required && named.insert(edge.digest) => missing.push(edge.digest),
                Some(size) if size != edge.size_bytes && named.insert(edge.digest) => {
                    wrong.push((edge.digest, size));
                }
                _ => {}
            }
        }
        match (missing.is_empty(), wrong.is_empty()) {
            (false, _) => Err(PutManifest::Missing(missing)),
            (true, false) => Err(PutManifest::SizeMismatch(wrong)),
            (true, true) => Ok(()),
        }
    }

    /// Makes the manifest visible; `false` if it was.
    fn set_manifest(
        &mut self,
        moment: Moment,
        repository: RepositoryId,
        new: &NewManifest,
    ) -> bool {
        let digests = |edges: &[Edge]| {
            edges
                .iter()
                .map(|edge| edge.digest)
                .collect::<BTreeSet<_>>()
        };
        let (blobs, children) = (digests(&new.blobs), digests(&new.children));
        for blob in &blobs {
            self.named_by
                .entry((repository, *blob))
                .or_default()
                .insert(new.digest);
        }
        if let Some(stored) = self.manifests.get_mut(&(repository, new.digest)) {
            stored.blobs.extend(blobs);
            stored.children.extend(children);
            if !stored.deleted {
                return false;
            }
            stored.deleted = false;
            stored.pushed_at = moment.now;
            stored.lease_until = stored.lease_until.max(moment.lease());
            return true;
        }
        if let Some(subject) = new.subject {
            self.referrers
                .entry((repository, subject))
                .or_default()
                .insert(new.digest);
        }
        let manifest = Manifest {
            media_type: new.media_type.clone(),
            artifact_type: new.artifact_type.clone(),
            body: new.body.clone(),
            referrer: new.referrer.clone(),
            blobs,
            children,
            pushed_at: moment.now,
            deleted: false,
            lease_until: moment.lease(),
        };
        self.manifests.insert((repository, new.digest), manifest);
        true
    }

    /// Restarts the lease of a manifest that no tag names any more.
    fn lease_untagged(&mut self, moment: Moment, repository: RepositoryId, digest: &Digest) {
        let mut tags = self.tags_of(repository);
        if !tags.any(|(_, target)| target == digest) {
            drop(tags);
            self.lease_manifest(moment, repository, digest);
        }
    }

    fn lease_manifest(&mut self, moment: Moment, repository: RepositoryId, digest: &Digest) {
        if let Some(manifest) = self.manifests.get_mut(&(repository, *digest)) {
            manifest.lease_until = manifest.lease_until.max(moment.lease());
        }
    }

    pub(super) fn manifest(
        &self,
        name: &RepositoryName,
        reference: &Reference,
    ) -> Option<ManifestRow> {
        let repository = self.repository(name)?;
        let digest = match reference {
            Reference::Digest(digest) => *digest,
            Reference::Tag(tag) => *self.tags.get(&repository)?.get(tag)?,
        };
        let manifest = self.manifest_row(repository, &digest)?;
        Some(ManifestRow {
            repository,
            digest,
            media_type: manifest.media_type.clone(),
            size_bytes: manifest.body.len() as u64,
            body: manifest.body.clone(),
            pushed_at: manifest.pushed_at,
        })
    }

    pub(super) fn delete_tag(
        &mut self,
        moment: Moment,
        name: &RepositoryName,
        tag: &Tag,
        origin: &Origin,
    ) -> bool {
        let Some(repository) = self.repository(name) else {
            return false;
        };
        let tags = self.tags.get_mut(&repository);
        let Some(previous) = tags.and_then(|tags| tags.remove(tag)) else {
            return false;
        };
        let entry = Entry::new(Change::TagDelete, repository, name)
            .tag(tag)
            .previous(Some(previous));
        self.write_line(moment, entry, origin);
        self.lease_untagged(moment, repository, &previous);
        true
    }

    pub(super) fn delete_manifest(
        &mut self,
        moment: Moment,
        name: &RepositoryName,
        digest: &Digest,
        origin: &Origin,
    ) -> Option<Vec<Tag>> {
        let repository = self.repository(name)?;
        self.manifest_row(repository, digest)?;
        let tags: Vec<Tag> = self
            .tags_of(repository)
            .filter(|(_, target)| *target == digest)
            .map(|(tag, _)| tag.clone())
            .collect();
        for tag in &tags {
            if let Some(tags) = self.tags.get_mut(&repository) {
                tags.remove(tag);
            }
            let entry = Entry::new(Change::TagDelete, repository, name)
                .tag(tag)
                .previous(Some(*digest));
            self.write_line(moment, entry, origin);
        }
        let manifest = self.manifests.get_mut(&(repository, *digest))?;
        manifest.deleted = true;
        manifest.lease_until = manifest.lease_until.max(moment.undo());
        let (blobs, children) = (manifest.blobs.clone(), manifest.children.clone());
        let (media_type, size_bytes) = (manifest.media_type.clone(), manifest.body.len() as u64);
        for blob in blobs {
            if let Some(link) = self.blobs.get_mut(&(repository, blob)) {
                link.lease_until = link.lease_until.max(moment.lease());
            }
        }
        for child in children {
            self.lease_manifest(moment, repository, &child);
        }
        let entry = Entry::new(Change::ManifestDelete, repository, name)
            .digest(*digest)
            .content(Some(&media_type), size_bytes);
        self.write_line(moment, entry, origin);
        Some(tags)
    }
}
