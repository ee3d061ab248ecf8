//! The last step of an upload: verified, flushed, visible, in this order; or given up.

use roadstead_failpoint::failpoint;
use roadstead_metadata::{Finish, FinishUpload, Metadata, Place, UploadId};
use roadstead_oci::{Algorithm, Digest, Grant, RepositoryName};
use roadstead_storage::ObjectStore;

use crate::error::Error;
use crate::hashing::Hasher;
use crate::registry::{Context, Registry};
use crate::session::Session;

impl Registry {
    /// Verifies, flushes, makes visible: in this order.
    pub(super) async fn close(
        &self,
        grant: &Grant,
        session: Session,
        digest: Digest,
        context: Context,
    ) -> Result<(), Error> {
        let told = session.hasher.algorithm() == digest.algorithm();
        if told {
            self.check_digest(grant, &session, session.hasher.clone().digest(), digest)
                .await?;
        }
        failpoint!("registry::upload::verified");
        let sealed = match self.store.seal(session.key, &session.state).await {
            Ok(sealed) => sealed,
            Err(error) => {
                // Bytes whose flush failed are lost whatever a later read of them says.
                self.discard(grant.repository(), session.id).await?;
                return Err(error.into());
            }
        };
        if !told {
            let actual = self.reread(&session, digest.algorithm()).await?;
            self.check_digest(grant, &session, actual, digest).await?;
        }
        failpoint!("registry::upload::sealed");
        let upload = Some((session.id, session.fence));
        let place = Place::Object(sealed.key().as_uuid());
        self.make_visible(grant, upload, digest, sealed.size_bytes(), place, context)
            .await
    }

    async fn check_digest(
        &self,
        grant: &Grant,
        session: &Session,
        actual: Digest,
        expected: Digest,
    ) -> Result<(), Error> {
        if actual == expected {
            return Ok(());
        }
        self.discard(grant.repository(), session.id).await?;
        Err(Error::DigestMismatch { expected, actual })
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
