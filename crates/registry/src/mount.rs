//! Mounting: a blob of one repository becomes a blob of another without moving a byte.
//!
//! Whatever keeps a mount from happening is silent: the client gets an ordinary upload session, so
//! that nothing is learned about repositories it may not read.

use roadstead_failpoint::failpoint;
use roadstead_metadata::{Metadata, MountBlob};
use roadstead_oci::{Action, Digest, Grant, RepositoryName};

use crate::error::Error;
use crate::registry::{Context, Registry};

/// Repositories looked through for a mount without `from`.
const HOLDERS_MAX: u32 = 16;

impl Registry {
    /// Links `digest` of the repository that `source` may pull into the one that `target` may push.
    /// `false`: it is not there.
    ///
    /// # Errors
    /// The modes' refusals and those of the store.
    pub async fn mount(
        &self,
        target: &Grant,
        source: &Grant,
        digest: &Digest,
        context: Context,
    ) -> Result<bool, Error> {
        self.writable(target)?;
        self.require(source, Action::Pull)?;
        self.notice_loss(digest).await?;
        let mount = MountBlob {
            from: source.repository().clone(),
            to: target.repository().clone(),
            digest: *digest,
            origin: context,
        };
        let mounted = self.metadata.mount(mount).await?;
        failpoint!("registry::mount::done");
        Ok(mounted)
    }

    /// Some repositories that have the blob, for a mount that names none. The caller asks for a
    /// grant on each before it uses one.
    ///
    /// # Errors
    /// Only of the store.
    pub async fn holders(
        &self,
        target: &Grant,
        digest: &Digest,
    ) -> Result<Vec<RepositoryName>, Error> {
        self.writable(target)?;
        Ok(self.metadata.holders(digest, HOLDERS_MAX).await?)
    }
}
