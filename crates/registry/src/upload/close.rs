//! The last step of an upload: verified, flushed, visible, in this order; or given up.

use roadstead_failpoint::failpoint;
use roadstead_metadata::{Finish, FinishUpload, Metadata, MetadataError, Place, UploadId};
use roadstead_oci::{Algorithm, Digest, Grant, RepositoryName};
use roadstead_storage::{ObjectStore, StorageError};

use crate::error::Error;
use crate::hashing::Hasher;
use crate::registry::{Context, Registry};
use crate::session::Session;

impl Registry {
    /// Verifies, flushes, makes visible: in this order.
    pub(super) async fn close(
        &self,
        grant: &Grant,
        session: &Session,
        digest: Digest,
        context: Context,
    ) -> Result<(), Error> {
        let told = session.hasher.algorithm() == digest.algorithm();
        if told {
            check_digest(session.hasher.clone().digest(), digest)?;
        }
        failpoint!("registry::upload::verified");
        let sealed = self.store.seal(session.key, &session.state).await?;
        if !told {
            check_digest(self.reread(session, digest.algorithm()).await?, digest)?;
        }
        failpoint!("registry::upload::sealed");
        let upload = Some((session.id, session.fence));
        let place = Place::Object(sealed.key().as_uuid());
        self.make_visible(grant, upload, digest, sealed.size_bytes(), place, context)
            .await
    }

    /// What becomes of a session whose request ended so: one that nothing can come of any more gives
    /// its bytes back at once, any other stays for another try. The outcome itself is passed on.
    pub(super) async fn settle<T>(
        &self,
        grant: &Grant,
        session: &Session,
        outcome: Result<T, Error>,
    ) -> Result<T, Error> {
        match &outcome {
            // Whose bytes are wrong is not known; nor is what a flush that failed has kept, whatever
            // a later one says. And a full disk needs what this upload took of it.
            Err(
                Error::DigestMismatch { .. }
                | Error::Storage(
                    StorageError::Flush(_)
                    | StorageError::Full { .. }
                    | StorageError::Reserve
                    | StorageError::Damaged { .. }
                    | StorageError::NotFound { .. },
                )
                | Error::Metadata(MetadataError::Full(_)),
            ) => self.give_up(grant, session).await,
            Err(Error::Metadata(MetadataError::ReadOnly(_))) => self.disk.note_read_only(),
            _ => {}
        }
        outcome
    }

    /// Ends a session that failed already: what is in the way of that only goes to the log.
    pub(super) async fn give_up(&self, grant: &Grant, session: &Session) {
        match self.end(grant, session).await {
            Ok(()) | Err(Error::UploadUnknown) => {}
            Err(error) => tracing::warn!(
                upload.id = %session.id,
                error = &error as &dyn std::error::Error,
                "a failed upload could not be ended, it stays until it expires"
            ),
        }
    }

    /// Ends a session, also on a disk that has no room for the change of its row.
    pub(super) async fn end(&self, grant: &Grant, session: &Session) -> Result<(), Error> {
        let ended = self.discard(grant.repository(), session.id).await;
        if !matches!(ended, Err(Error::Metadata(MetadataError::Full(_)))) {
            return ended;
        }
        // The bytes make room for the row. No row but the session's names them: whatever was to make
        // them visible was rolled back, and nobody else writes to the session.
        self.store.delete(session.key).await?;
        self.discard(grant.repository(), session.id).await
    }

    /// Hashes the object again, for a closing digest in an algorithm that the session was not told
    /// of: the one case in which bytes are read back.
    async fn reread(&self, session: &Session, algorithm: Algorithm) -> Result<Digest, Error> {
        let mut hasher = Hasher::new(algorithm);
        let size = session.offset();
        let mut reader = self.store.open(session.key, 0..size, size).await?;
        while let Some(chunk) = reader.next().await {
            hasher.update(&chunk?);
        }
        Ok(hasher.digest())
    }

    /// T1: the one call that makes a blob visible.
    pub(super) async fn make_visible(
        &self,
        grant: &Grant,
        upload: Option<(UploadId, u64)>,
        digest: Digest,
        size_bytes: u64,
        place: Place,
        context: Context,
    ) -> Result<(), Error> {
        // What is lost is healed by these bytes only where it is known to be lost.
        self.notice_loss(&digest).await?;
        let finish = FinishUpload {
            repository: grant.repository().clone(),
            upload,
            digest,
            size_bytes,
            place,
            origin: context,
        };
        match self.metadata.finish_upload(finish).await? {
            Finish::Stored { discarded } => {
                failpoint!("registry::upload::visible");
                if let Some(key) = discarded {
                    self.remove_soon(key);
                }
                Ok(())
            }
            Finish::Stale => Err(Error::UploadUnknown),
        }
    }

    /// Ends a session and removes its bytes.
    pub(crate) async fn discard(
        &self,
        repository: &RepositoryName,
        id: UploadId,
    ) -> Result<(), Error> {
        let key = self
            .metadata
            .cancel_upload(repository, id)
            .await?
            .ok_or(Error::UploadUnknown)?;
        failpoint!("registry::upload::discarded");
        self.remove_soon(key);
        Ok(())
    }
}

/// Refuses content of another digest than the client says.
pub(super) fn check_digest(actual: Digest, expected: Digest) -> Result<(), Error> {
    if actual == expected {
        Ok(())
    } else {
        Err(Error::DigestMismatch { expected, actual })
    }
}
