//! An upload session as one request holds it: where it stands, and that nobody else writes to it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use roadstead_metadata::{Metadata, Progress, Timestamp, UploadId, UploadRow};
use roadstead_oci::{Algorithm, Grant};
use roadstead_storage::{AppendState, Key, ObjectStore};

use crate::error::Error;
use crate::hashing::Hasher;
use crate::registry::Registry;

/// A session that this request alone may write to.
pub(crate) struct Session {
    pub(crate) id: UploadId,
    pub(crate) key: Key,
    pub(crate) fence: u64,
    pub(crate) hasher: Hasher,
    pub(crate) state: AppendState,
    /// The furthest point known to survive a power loss.
    pub(crate) durable: Progress,
    _busy: BusySession,
}

impl Session {
    pub(crate) fn offset(&self) -> u64 {
        self.state.offset()
    }

    pub(crate) fn progress(&self) -> Progress {
        progress(&self.hasher, &self.state)
    }
}

/// Where a session begins: nothing received, nothing stored.
pub(crate) fn start(algorithm: Algorithm) -> Progress {
    progress(&Hasher::new(algorithm), &AppendState::start())
}

pub(crate) fn progress(hasher: &Hasher, state: &AppendState) -> Progress {
    Progress {
        offset: state.offset(),
        hash_state: hasher.state(),
        store_state: state.to_bytes(),
    }
}

impl Registry {
    /// Takes a session for writing.
    ///
    /// # Errors
    /// [`Error::UploadUnknown`]; [`Error::UploadRange`] while another request writes to it.
    pub(crate) async fn claim(&self, grant: &Grant, id: UploadId) -> Result<Session, Error> {
        let busy = self.busy.claim(id);
        let row = self.upload_row(grant, id).await?;
        let Some(busy) = busy else {
            return Err(Error::UploadRange {
                offset: row.progress.offset,
            });
        };
        let (hasher, state) = self.standing(grant, &row).await?;
        Ok(Session {
            id,
            key: Key::from(row.key),
            fence: row.fence,
            hasher,
            state,
            durable: row.durable,
            _busy: busy,
        })
    }

    /// Whether there is room for `bytes` more of an upload besides the reserve: what is asked before
    /// they are read. What an earlier attempt left behind the bytes that the session counts is given
    /// back first where there is none.
    ///
    /// # Errors
    /// As [`Registry::room`].
    pub async fn room_to_append(
        self: &Arc<Self>,
        grant: &Grant,
        id: UploadId,
        bytes: u64,
    ) -> Result<(), Error> {
        let Err(full) = self.room(bytes) else {
            return Ok(());
        };
        self.writable(grant)?;
        let (registry, grant) = (Arc::clone(self), grant.clone());
        // Cut off half way, it could cut what the next request has written meanwhile.
        let cut = self.to_the_end(async move { registry.cut_lost_bytes(&grant, id).await });
        if cut.await? {
            self.room(bytes)
        } else {
            Err(full)
        }
    }

    /// Gives back what is behind the bytes of a session; whether there was any.
    async fn cut_lost_bytes(&self, grant: &Grant, id: UploadId) -> Result<bool, Error> {
        // Whatever is wrong with the session: it has none to give.
        let Ok(session) = self.claim(grant, id).await else {
            return Ok(false);
        };
        let length = self.store.length(session.key).await?;
        if length.is_none_or(|length| length <= session.offset()) {
            return Ok(false);
        }
        // To open it for more is to cut it.
        drop(
            self.store
                .appender(session.key, &session.state, Box::new(()))
                .await?,
        );
        Ok(true)
    }

    /// The row of a session, for the principal that started it and nobody else.
    pub(crate) async fn upload_row(&self, grant: &Grant, id: UploadId) -> Result<UploadRow, Error> {
        let row = self.metadata.upload(grant.repository(), id).await?;
        row.filter(|row| row.principal == grant.principal().as_str())
            .ok_or(Error::UploadUnknown)
    }

    /// The furthest point of the session that the store still holds.
    ///
    /// What was received on this run of the system counts in full; after another run only what was
    /// flushed does, since the rest may have been lost with the power. A hash state that cannot be
    /// read sends the session back to its start; an object that lost even flushed bytes ends it.
    pub(crate) async fn standing(
        &self,
        grant: &Grant,
        row: &UploadRow,
    ) -> Result<(Hasher, AppendState), Error> {
        let received = (row.boot_id == self.boot_id).then_some(&row.progress);
        for progress in received.into_iter().chain([&row.durable]) {
            let (Ok(hasher), Ok(state)) = (
                Hasher::resume(&progress.hash_state),
                AppendState::from_bytes(&progress.store_state),
            ) else {
                tracing::warn!(upload.id = %row.id, "the stored state of an upload cannot be read, it starts again");
                return Ok((Hasher::new(row.algorithm), AppendState::start()));
            };
            if state.offset() == 0 {
                return Ok((hasher, state));
            }
            let length = self.store.length(Key::from(row.key)).await?;
            if length.is_some_and(|length| length >= state.offset()) {
                return Ok((hasher, state));
            }
        }
        tracing::warn!(upload.id = %row.id, "the store lost flushed bytes of an upload, the session ends");
        self.discard(grant.repository(), row.id).await?;
        Err(Error::UploadUnknown)
    }

    /// When a session ends that receives its last byte now.
    pub(crate) fn session_end(&self) -> Timestamp {
        if self.settings.purging.enabled {
            self.idle.moves().plus(self.settings.purging.age)
        } else {
            Timestamp::MAX
        }
    }
}

/// The sessions that requests of this process are writing to.
#[derive(Debug, Default, Clone)]
pub(crate) struct BusySessions(Arc<Mutex<HashSet<UploadId>>>);

impl BusySessions {
    fn claim(&self, id: UploadId) -> Option<BusySession> {
        let claimed = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id);
        claimed.then(|| BusySession {
            sessions: self.clone(),
            id,
        })
    }
}

/// Holds a session; letting it go frees the session.
#[derive(Debug)]
pub(crate) struct BusySession {
    sessions: BusySessions,
    id: UploadId,
}

impl Drop for BusySession {
    fn drop(&mut self) {
        self.sessions
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.id);
    }
}
