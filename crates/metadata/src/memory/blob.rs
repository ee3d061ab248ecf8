//! Blobs: T1, T2 and the deletion of a link.

use roadstead_oci::{Digest, RepositoryName};
use uuid::Uuid;

use crate::change::{FinishUpload, MountBlob, Origin, Place};
use crate::error::MetadataError;
use crate::journal::{Change, Entry};
use crate::metadata::{DeleteBlob, Finish};
use crate::rows::{BlobRow, RepositoryId};

use super::Moment;
use super::state::{Link, Object, State};

impl State {
    pub(super) fn finish_upload(
        &mut self,
        moment: Moment,
        finish: FinishUpload,
    ) -> Result<Finish, MetadataError> {
        let mut key = None;
        let mut touched = false;
        if let Some((id, fence)) = finish.upload {
            let row = self
                .upload(&finish.repository, id)
                .filter(|row| row.fence == fence);
            let Some(row) = row else {
                return Ok(Finish::Stale);
            };
            key = Some(row.key);
            touched = row.fence > 0;
        }
        if let Place::Object(object) = finish.place
            && key != Some(object)
        {
            return Err(MetadataError::Misuse(
                "a blob's object must be its upload's",
            ));
        }
        if let Some((id, _)) = finish.upload {
            self.end_upload(id);
        }
        let FinishUpload {
            digest,
            size_bytes,
            place,
            ..
        } = finish;
        let repository = self.ensure_repository(moment, &finish.repository, &finish.origin);

        let is_object = matches!(place, Place::Object(_));
        let mut kept = true;
        if let Some(stored) = self.objects.get(&digest).filter(|stored| stored.missing) {
            if let Place::Object(old) = stored.place {
                self.throw_away(moment, old, true);
            }
        } else {
            kept = !self.objects.contains_key(&digest);
        }
        if kept {
            self.objects.insert(
                digest,
                Object {
                    place,
                    size_bytes,
                    missing: false,
                },
            );
        }
        let mut discarded = None;
        if let Some(key) = key
            && !(kept && is_object)
        {
            self.throw_away(moment, key, false);
            // An object can be there only if something was written to it.
            discarded = (is_object || touched).then_some(key);
        }
        self.set_link(moment, repository, digest);
        let entry = Entry::new(Change::BlobPush, repository, &finish.repository)
            .digest(digest)
            .content(None, size_bytes);
        self.write_line(moment, entry, &finish.origin);
        Ok(Finish::Stored { discarded })
    }

    fn set_link(&mut self, moment: Moment, repository: RepositoryId, digest: Digest) {
        self.holders.entry(digest).or_default().insert(repository);
        let fresh = Link {
            linked_at: moment.now,
            deleted: false,
            lease_until: moment.lease(),
        };
        let link = self.blobs.entry((repository, digest)).or_insert(fresh);
        if link.deleted {
            link.deleted = false;
            link.linked_at = moment.now;
        }
        link.lease_until = link.lease_until.max(moment.lease());
    }

    pub(super) fn mount(&mut self, moment: Moment, mount: &MountBlob) -> bool {
        let digest = mount.digest;
        let Some(from) = self.repository(&mount.from) else {
            return false;
        };
        let size_bytes = match (self.link(from, &digest), self.object(&digest)) {
            (Some(_), Some(object)) => object.size_bytes,
            _ => return false,
        };
        let to = self.ensure_repository(moment, &mount.to, &mount.origin);
        self.set_link(moment, to, digest);
        let entry = Entry::new(Change::BlobMount, to, &mount.to)
            .digest(digest)
            .content(None, size_bytes)
            .from(&mount.from);
        self.write_line(moment, entry, &mount.origin);
        true
    }

    pub(super) fn holders(&self, digest: &Digest, limit: u32) -> Vec<RepositoryName> {
        if self.object(digest).is_none() {
            return Vec::new();
        }
        let holders = self.holders.get(digest).into_iter().flatten();
        let visible = holders.filter(|id| self.link(**id, digest).is_some());
        visible
            .filter_map(|id| self.names.get(id).cloned())
            .take(limit as usize)
            .collect()
    }

    pub(super) fn renew_lease(
        &mut self,
        moment: Moment,
        name: &RepositoryName,
        digest: &Digest,
    ) -> bool {
        let Some(repository) = self.repository(name) else {
            return false;
        };
        if self.object(digest).is_none() || self.link(repository, digest).is_none() {
            return false;
        }
        let half = moment.now.plus(moment.horizons.lease / 2);
        if self.references(repository, digest) == 0
            && let Some(link) = self.blobs.get_mut(&(repository, *digest))
            && link.lease_until < half
        {
            link.lease_until = moment.lease();
        }
        true
    }

    /// Visible manifests of the repository that name the blob.
    fn references(&self, repository: RepositoryId, digest: &Digest) -> u64 {
        let naming = self
            .named_by
            .get(&(repository, *digest))
            .into_iter()
            .flatten();
        let visible = naming.filter(|manifest| self.manifest_row(repository, manifest).is_some());
        visible.count() as u64
    }

    pub(super) fn blob(&self, name: &RepositoryName, digest: &Digest) -> Option<BlobRow> {
        let repository = self.repository(name)?;
        let link = self.link(repository, digest)?;
        let object = self.object(digest)?;
        Some(BlobRow {
            repository,
            digest: *digest,
            size_bytes: object.size_bytes,
            place: object.place.clone(),
            linked_at: link.linked_at,
        })
    }

    pub(super) fn delete_blob(
        &mut self,
        moment: Moment,
        name: &RepositoryName,
        digest: &Digest,
        origin: &Origin,
    ) -> DeleteBlob {
        let Some(repository) = self.repository(name) else {
            return DeleteBlob::Unknown;
        };
        if self.link(repository, digest).is_none() {
            return DeleteBlob::Unknown;
        }
        match self.references(repository, digest) {
            0 => {}
            naming => return DeleteBlob::Referenced(naming),
        }
        if let Some(link) = self.blobs.get_mut(&(repository, *digest)) {
            link.deleted = true;
            link.lease_until = link.lease_until.max(moment.undo());
        }
        let size_bytes = self
            .objects
            .get(digest)
            .map_or(0, |object| object.size_bytes);
        let entry = Entry::new(Change::BlobDelete, repository, name)
            .digest(*digest)
            .content(None, size_bytes);
        self.write_line(moment, entry, origin);
        DeleteBlob::Deleted
    }

    pub(super) fn mark_missing(&mut self, digest: &Digest, key: Uuid) {
        if let Some(object) = self.objects.get_mut(digest)
            && object.place == Place::Object(key)
        {
            object.missing = true;
        }
    }
}
