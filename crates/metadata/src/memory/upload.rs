//! Upload sessions, and the trash that they leave.

use std::time::Duration;

use roadstead_oci::RepositoryName;
use uuid::Uuid;

use crate::change::{Advance, NewUpload, Origin};
use crate::clock::Timestamp;
use crate::error::MetadataError;
use crate::rows::{RepositoryId, UploadId, UploadRow};

use super::Moment;
use super::state::State;

impl State {
    pub(super) fn begin_upload(
        &mut self,
        moment: Moment,
        new: NewUpload<'_>,
    ) -> Result<RepositoryId, MetadataError> {
        if self
            .sessions
            .get(new.principal)
            .is_some_and(|open| *open >= new.sessions_max)
        {
            return Err(MetadataError::TooManyUploads {
                limit: new.sessions_max,
            });
        }
        if self.uploads.contains_key(&new.id) || self.upload_keys.contains(&new.key) {
            return Err(MetadataError::Misuse(
                "another open upload has that id or that key",
            ));
        }
        let origin = Origin {
            actor: new.principal.to_owned(),
            ..Origin::default()
        };
        let repository = self.ensure_repository(moment, new.repository, &origin);
        *self.sessions.entry(new.principal.to_owned()).or_default() += 1;
        self.expiry.insert((new.expires_at, new.id));
        self.upload_keys.insert(new.key);
        let row = UploadRow {
            id: new.id,
            key: new.key,
            repository,
            principal: new.principal.to_owned(),
            algorithm: new.algorithm,
            progress: new.start.clone(),
            boot_id: new.boot_id.to_owned(),
            durable: new.start,
            fence: 0,
            expires_at: new.expires_at,
        };
        self.uploads.insert(new.id, row);
        Ok(repository)
    }

    pub(super) fn upload(&self, name: &RepositoryName, id: UploadId) -> Option<&UploadRow> {
        let repository = self.repository(name)?;
        self.uploads
            .get(&id)
            .filter(|row| row.repository == repository)
    }

    pub(super) fn advance_upload(
        &mut self,
        id: UploadId,
        fence: u64,
        advance: Advance,
    ) -> Option<u64> {
        let row = self.uploads.get_mut(&id).filter(|row| row.fence == fence)?;
        self.expiry.remove(&(row.expires_at, id));
        self.expiry.insert((advance.expires_at, id));
        row.progress = advance.progress;
        if let Some(durable) = advance.durable {
            row.durable = durable;
        }
        row.boot_id = advance.boot_id;
        row.expires_at = advance.expires_at;
        row.fence += 1;
        Some(row.fence)
    }

    pub(super) fn cancel_upload(
        &mut self,
        moment: Moment,
        name: &RepositoryName,
        id: UploadId,
    ) -> Option<Uuid> {
        self.upload(name, id)?;
        let row = self.end_upload(id)?;
        self.throw_away(moment, row.key, false);
        Some(row.key)
    }

    /// Removes the row; the key is the caller's to place.
    pub(super) fn end_upload(&mut self, id: UploadId) -> Option<UploadRow> {
        let row = self.uploads.remove(&id)?;
        self.expiry.remove(&(row.expires_at, id));
        self.upload_keys.remove(&row.key);
        if let Some(open) = self.sessions.get_mut(&row.principal) {
            *open -= 1;
            if *open == 0 {
                self.sessions.remove(&row.principal);
            }
        }
        Some(row)
    }

    pub(super) fn expired_uploads(&self, now: Timestamp, limit: u32) -> Vec<UploadId> {
        let expired = self
            .expiry
            .iter()
            .take_while(|(expires_at, _)| *expires_at <= now);
        expired.take(limit as usize).map(|(_, id)| *id).collect()
    }

    pub(super) fn expire_uploads(
        &mut self,
        moment: Moment,
        now: Timestamp,
        limit: u32,
    ) -> Vec<Uuid> {
        let mut keys = Vec::new();
        for id in self.expired_uploads(now, limit) {
            if let Some(row) = self.end_upload(id) {
                self.throw_away(moment, row.key, false);
                keys.push(row.key);
            }
        }
        keys
    }

    pub(super) fn trash_ready(&self, now: Timestamp, limit: u32) -> Vec<Uuid> {
        let mut ready: Vec<(Timestamp, Uuid)> = self
            .trash
            .iter()
            .filter(|(_, trash)| !trash.seen && trash.due <= now)
            .map(|(key, trash)| (trash.due, *key))
            .collect();
        ready.sort_unstable();
        ready.truncate(limit as usize);
        ready.into_iter().map(|(_, key)| key).collect()
    }

    pub(super) fn forget_trash(&mut self, key: Uuid) {
        self.trash.remove(&key);
    }

    pub(super) fn retry_trash(&mut self, now: Timestamp, key: Uuid) {
        if let Some(trash) = self.trash.get_mut(&key) {
            let wait = Duration::from_secs(1 << trash.tries.min(TRIES_COUNTED));
            trash.tries += 1;
            trash.due = now.plus(wait);
        }
    }
}

/// Failures after which the wait for the next try does not grow: 2^12 s is over an hour.
const TRIES_COUNTED: u32 = 12;
