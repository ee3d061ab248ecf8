//! Removal of bytes that nobody could ever see: of cancelled, refused and expired uploads and of
//! the losers of races. Their keys stand in the trash from the commit that gave them up, so that a
//! removal which fails or is cut off is taken up again.

use std::sync::Arc;
use std::time::Duration;

use roadstead_failpoint::failpoint;
use roadstead_metadata::Metadata;
use roadstead_storage::{Key, ObjectStore, StorageError};
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::error::Error;
use crate::registry::Registry;

/// Time between two looks into the trash for removals that did not succeed at once.
const TRASH_INTERVAL: Duration = Duration::from_secs(60);
/// Time between two looks at the disk that nobody asked for.
const DISK_INTERVAL: Duration = Duration::from_secs(1);
/// Keys taken from the trash, or sessions ended, in one step.
const BATCH: u32 = 100;

impl Registry {
    /// Removes what is due until `stop` is cancelled.
    pub async fn maintain(self: Arc<Self>, stop: CancellationToken) {
        let mut trash = interval(TRASH_INTERVAL);
        trash.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let every = self.settings.purging.interval.max(Duration::from_secs(1));
        let mut purge = interval_at(Instant::now() + every.min(TRASH_INTERVAL), every);
        purge.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut disk = interval(DISK_INTERVAL);
        disk.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let done = tokio::select! {
                () = stop.cancelled() => return,
                _ = disk.tick() => {
                    self.disk();
                    Ok(())
                }
                _ = trash.tick() => self.empty_trash().await,
                _ = purge.tick(), if self.settings.purging.enabled => self.expire_uploads().await,
            };
            if let Err(error) = done {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "maintenance failed, it is tried again"
                );
            }
        }
    }

    /// Ends the sessions that have been idle for longer than the purging age by the clock of `idle`.
    ///
    /// # Errors
    /// Only of the store.
    pub async fn expire_uploads(&self) -> Result<(), Error> {
        let now = self.idle.judges();
        if self.idle.is_early(self.settings.purging.age) {
            let expired = self.metadata.expired_uploads(now, BATCH).await?;
            self.idle.tell_early(expired.len());
            return Ok(());
        }
        if self.settings.purging.dry_run {
            let expired = self.metadata.expired_uploads(now, BATCH).await?;
            for id in &expired {
                tracing::info!(upload.id = %id, "upload session expired, kept because uploadpurging.dryrun is set");
            }
            return Ok(());
        }
        loop {
            let keys = self.metadata.expire_uploads(now, BATCH).await?;
            if keys.is_empty() {
                return Ok(());
            }
            failpoint!("registry::sweep::expired");
            tracing::info!(sessions = keys.len(), "expired upload sessions removed");
            let mut kept = Kept::default();
            let removed = self.remove_all(&keys, &mut kept).await;
            kept.tell();
            removed?;
        }
    }

    /// Removes the objects whose keys are due in the trash.
    async fn empty_trash(&self) -> Result<(), Error> {
        let mut kept = Kept::default();
        let emptied = self.empty_trash_but(&mut kept).await;
        kept.tell();
        emptied
    }

    async fn empty_trash_but(&self, kept: &mut Kept) -> Result<(), Error> {
        loop {
            let keys = self.metadata.trash_ready(BATCH).await?;
            self.remove_all(&keys, kept).await?;
            if keys.len() < BATCH as usize {
                return Ok(());
            }
        }
    }

    /// Removes objects. One that cannot be removed is put off and keeps no other; the database is
    /// needed for each of them.
    async fn remove_all(&self, keys: &[Uuid], kept: &mut Kept) -> Result<(), Error> {
        for &key in keys {
            match remove(&self.store, &self.metadata, Key::from(key)).await {
                Err(Error::Storage(error)) => kept.add(key, error),
                removed => removed?,
            }
        }
        Ok(())
    }

    /// Removes an object that the trash names, without keeping the caller waiting.
    pub(crate) fn remove_soon(&self, key: Uuid) {
        let (store, metadata) = (Arc::clone(&self.store), Arc::clone(&self.metadata));
        self.tasks.spawn(async move {
            if let Err(error) = remove(&store, &metadata, Key::from(key)).await {
                tracing::warn!(%key, error = &error as &dyn std::error::Error, "an object could not be removed, it stays in the trash");
            }
        });
    }
}

/// What could not be removed in one pass. A broken disk may keep thousands: they are one line.
#[derive(Debug, Default)]
struct Kept {
    objects: u64,
    first: Option<(Uuid, StorageError)>,
}

impl Kept {
    fn add(&mut self, key: Uuid, error: StorageError) {
        self.objects += 1;
        self.first.get_or_insert((key, error));
    }

    fn tell(&self) {
        if let Some((key, error)) = &self.first {
            tracing::warn!(
                %key,
                objects = self.objects,
                error = error as &dyn std::error::Error,
                "objects could not be removed, they stay in the trash; this is the first of them"
            );
        }
    }
}

async fn remove(
    store: &roadstead_storage::Store,
    metadata: &roadstead_metadata::Meta,
    key: Key,
) -> Result<(), Error> {
    failpoint!("registry::sweep::found");
    match store.delete(key).await {
        Ok(()) => {
            failpoint!("registry::sweep::removed");
            Ok(metadata.forget_trash(key.as_uuid()).await?)
        }
        Err(error) => {
            metadata.retry_trash(key.as_uuid()).await?;
            Err(error.into())
        }
    }
}

#[cfg(test)]
mod tests;
