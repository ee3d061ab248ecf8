//! The registry itself: its two stores, its settings and the tasks that outlive a request.

use std::sync::Arc;

use roadstead_metadata::{Clock, Meta, Metadata, MetadataError, Origin};
use roadstead_oci::{Action, Grant};
use roadstead_storage::{Condition, Disk, ObjectStore, Store};
use tokio_util::task::TaskTracker;

use crate::error::Error;
use crate::idle::IdleClock;
use crate::session::BusySessions;
use crate::settings::Settings;

/// All operations of the registry. Cheap to share: put it in an [`Arc`].
///
/// # Cancel safety
/// Every operation may be dropped at any await. What writes bytes or rows runs in a task of its
/// own, so that a client that hangs up leaves a whole step behind, never half of one.
pub struct Registry {
    pub(crate) store: Arc<Store>,
    pub(crate) disk: Arc<Disk>,
    pub(crate) metadata: Arc<Meta>,
    pub(crate) settings: Settings,
    pub(crate) idle: IdleClock,
    /// Names this run of the operating system: hash states of another run may be ahead of what its
    /// disk kept.
    pub(crate) boot_id: String,
    pub(crate) busy: BusySessions,
    pub(crate) tasks: TaskTracker,
}

/// Who asks, for the journal.
pub type Context = Origin;

impl Registry {
    /// Puts a registry on its stores. `boot_id` must change whenever unflushed bytes may have been
    /// lost: the kernel's boot id.
    #[must_use]
    pub fn new(
        store: Store,
        metadata: Meta,
        settings: Settings,
        clock: Arc<dyn Clock>,
        boot_id: String,
    ) -> Self {
        Self {
            disk: store.disk(),
            store: Arc::new(store),
            metadata: Arc::new(metadata),
            settings,
            idle: IdleClock::new(clock),
            boot_id,
            busy: BusySessions::default(),
            tasks: TaskTracker::new(),
        }
    }

    /// Whether both stores answer: what `/debug/health` asks.
    ///
    /// # Errors
    /// The first store that does not.
    pub async fn probe(&self) -> Result<(), Error> {
        self.store.probe().await?;
        self.metadata.probe().await?;
        Ok(())
    }

    /// How the disk under the stores is; a call of the system at most. A change of it is logged.
    pub fn disk(&self) -> Condition {
        self.disk.condition()
    }

    /// Whether there is room for `bytes` more besides the reserve that deletes and the database
    /// need: what is asked before the body of a push is read.
    ///
    /// # Errors
    /// [`StorageError::Reserve`](roadstead_storage::StorageError::Reserve).
    pub fn room(&self, bytes: u64) -> Result<(), Error> {
        Ok(self.disk.room(bytes)?)
    }

    /// Takes note of a database that says it cannot be written to.
    pub(crate) fn seen(&self, error: MetadataError) -> Error {
        if matches!(error, MetadataError::ReadOnly(_)) {
            self.disk.note_read_only();
        }
        error.into()
    }

    /// Waits for the writes under way. Call it once, after the last request.
    pub async fn finish(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Runs a write to its end whatever becomes of the caller.
    ///
    /// # Errors
    /// Those of the write; [`Error::CutOff`] where its task panicked.
    pub(crate) async fn to_the_end<T: Send + 'static>(
        &self,
        write: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        self.tasks.spawn(write).await.map_err(|_| Error::CutOff)?
    }

    /// The one place where a grant is looked into.
    pub(crate) fn require(&self, grant: &Grant, action: Action) -> Result<(), Error> {
        if grant.permits(action) {
            Ok(())
        } else {
            Err(Error::NotGranted(action))
        }
    }

    /// What every write asks first.
    pub(crate) fn writable(&self, grant: &Grant) -> Result<(), Error> {
        self.require(grant, Action::Push)?;
        if self.settings.mode.read_only {
            Err(Error::ReadOnly)
        } else {
            Ok(())
        }
    }

    /// What every deletion asks first: one switch for tags, manifests and blobs.
    pub(crate) fn deletable(&self, grant: &Grant) -> Result<(), Error> {
        self.require(grant, Action::Delete)?;
        if self.settings.mode.read_only {
            return Err(Error::ReadOnly);
        }
        if self.settings.mode.delete_enabled {
            Ok(())
        } else {
            Err(Error::DeleteDisabled)
        }
    }
}
