//! Uploads: a session is a row; bytes go to an object under a key that only the row names; the
//! last step makes the object visible in one transaction. Nothing is acknowledged before it is
//! flushed, and nothing is visible before it is verified.

use std::sync::Arc;

use roadstead_failpoint::failpoint;
use roadstead_metadata::{Advance, Metadata, NewUpload, Place, UploadId};
use roadstead_oci::{Algorithm, ContentRange, Digest, Grant};
use roadstead_storage::{Key, ObjectStore};

use crate::body::{BodyFailure, ByteSource};
use crate::error::Error;
use crate::hashing::{HashOnTheWay, digest_of};
use crate::registry::{Context, Registry};
use crate::session::{Session, start};

mod close;
mod gather;
use close::check_digest;
use gather::{Gathered, gather};

/// A session that has just begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Started {
    /// Its public name, 122 random bits.
    pub id: UploadId,
}

/// How far a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadStatus {
    /// Bytes received: where the next request goes on.
    pub offset: u64,
}

/// What a request says about its body.
#[derive(Debug, Clone, Copy, Default)]
pub struct Declared {
    /// Content-Range.
    pub range: Option<ContentRange>,
    /// Content-Length.
    pub length: Option<u64>,
}

impl Registry {
    /// Starts a session that hashes with `algorithm` (OCI distribution end-4a, end-4c).
    ///
    /// # Errors
    /// The modes' refusals; too many sessions of this principal.
    pub async fn start_upload(
        &self,
        grant: &Grant,
        algorithm: Algorithm,
    ) -> Result<Started, Error> {
        self.writable(grant)?;
        let id = UploadId::random();
        self.metadata
            .begin_upload(NewUpload {
                repository: grant.repository(),
                id,
                key: Key::random().as_uuid(),
                principal: grant.principal().as_str(),
                algorithm,
                start: start(algorithm),
                boot_id: &self.boot_id,
                expires_at: self.session_end(),
                sessions_max: self.settings.sessions_per_principal,
            })
            .await
            .map_err(|error| self.seen(error))?;
        failpoint!("registry::upload::begun");
        Ok(Started { id })
    }

    /// Where a session stands (end-13).
    ///
    /// # Errors
    /// [`Error::UploadUnknown`].
    pub async fn upload_status(&self, grant: &Grant, id: UploadId) -> Result<UploadStatus, Error> {
        self.require(grant, roadstead_oci::Action::Pull)?;
        let row = self.upload_row(grant, id).await?;
        let (_, state) = self.standing(grant, &row).await?;
        Ok(UploadStatus {
            offset: state.offset(),
        })
    }

    /// Ends a session without a blob (end-14); its bytes go at once.
    ///
    /// # Errors
    /// [`Error::UploadUnknown`]; [`Error::UploadRange`] while a request writes to it.
    pub async fn cancel_upload(&self, grant: &Grant, id: UploadId) -> Result<(), Error> {
        self.writable(grant)?;
        let session = self.claim(grant, id).await?;
        self.end(grant, &session).await
    }

    /// Adds a body to a session (end-5): streamed, or a chunk where a range is declared. What was
    /// received of a body that breaks off is kept.
    ///
    /// # Errors
    /// [`Error::UploadRange`] where the range does not start where the session stands,
    /// [`Error::SizeInvalid`], [`Error::UploadUnknown`], [`Error::Body`].
    pub async fn append_upload<B: ByteSource>(
        self: &Arc<Self>,
        grant: &Grant,
        id: UploadId,
        declared: Declared,
        body: B,
    ) -> Result<UploadStatus, Error> {
        self.writable(grant)?;
        let (registry, grant) = (Arc::clone(self), grant.clone());
        self.to_the_end(async move {
            let mut session = registry.claim(&grant, id).await?;
            let length = check_declared(&session, declared)?;
            let received = registry.receive(&mut session, length, body).await;
            let kept = match received {
                Ok(()) => registry.advance(&mut session).await,
                Err(error) => Err(error),
            };
            registry.settle(&grant, &session, kept).await?;
            Ok(UploadStatus {
                offset: session.offset(),
            })
        })
        .await
    }

    /// Closes a session (end-6): the last bytes, if any, then the proof that the whole has `digest`.
    ///
    /// # Errors
    /// As [`Registry::append_upload`]; [`Error::DigestMismatch`] ends the session.
    pub async fn finish_upload<B: ByteSource>(
        self: &Arc<Self>,
        grant: &Grant,
        id: UploadId,
        declared: Declared,
        body: B,
        digest: Digest,
        context: Context,
    ) -> Result<(), Error> {
        self.writable(grant)?;
        let (registry, grant) = (Arc::clone(self), grant.clone());
        self.to_the_end(async move {
            let mut session = registry.claim(&grant, id).await?;
            let length = check_declared(&session, declared)?;
            let finished = registry
                .complete(&grant, &mut session, length, body, digest, context)
                .await;
            registry.settle(&grant, &session, finished).await
        })
        .await
    }

    /// Takes a whole blob in one request (end-4b). A session exists only while a large one comes in.
    ///
    /// # Errors
    /// [`Error::DigestMismatch`], [`Error::Body`]; nothing is left behind.
    pub async fn push_blob<B: ByteSource>(
        self: &Arc<Self>,
        grant: &Grant,
        digest: Digest,
        body: B,
        context: Context,
    ) -> Result<(), Error> {
        self.writable(grant)?;
        let (registry, grant) = (Arc::clone(self), grant.clone());
        self.to_the_end(async move {
            let body = match gather(body, registry.settings.inline_bytes).await {
                Gathered::Whole(bytes) => {
                    check_digest(digest_of(digest.algorithm(), &bytes), digest)?;
                    let size_bytes = bytes.len() as u64;
                    let place = Place::Inline(bytes);
                    return registry
                        .make_visible(&grant, None, digest, size_bytes, place, context)
                        .await;
                }
                Gathered::Longer(body) => body,
            };
            let started = registry.start_upload(&grant, digest.algorithm()).await?;
            let mut session = registry.claim(&grant, started.id).await?;
            let received = registry.receive(&mut session, None, body).await;
            let closed = match received {
                Ok(()) => registry.close(&grant, &session, digest, context).await,
                Err(error) => Err(error),
            };
            if closed.is_err() {
                // The client was never told of the session: nobody can go on with it.
                registry.give_up(&grant, &session).await;
            }
            closed
        })
        .await
    }

    /// The rest of a session: its last bytes, and the blob made visible.
    async fn complete<B: ByteSource>(
        &self,
        grant: &Grant,
        session: &mut Session,
        length: Option<u64>,
        body: B,
        digest: Digest,
        context: Context,
    ) -> Result<(), Error> {
        if session.offset() > 0 {
            self.receive(session, length, body).await?;
            return self.close(grant, session, digest, context).await;
        }
        match gather(body, self.settings.inline_bytes).await {
            Gathered::Whole(bytes) => {
                check_length(length, bytes.len() as u64)?;
                check_digest(digest_of(digest.algorithm(), &bytes), digest)?;
                let upload = Some((session.id, session.fence));
                let size_bytes = bytes.len() as u64;
                let place = Place::Inline(bytes);
                self.make_visible(grant, upload, digest, size_bytes, place, context)
                    .await
            }
            Gathered::Longer(body) => {
                self.receive(session, length, body).await?;
                self.close(grant, session, digest, context).await
            }
        }
    }

    /// Streams a body into the session's object. How far it came is stored here only where it broke
    /// off: what follows a whole body stores it, or makes it visible.
    async fn receive<B: ByteSource>(
        &self,
        session: &mut Session,
        length: Option<u64>,
        mut body: B,
    ) -> Result<(), Error> {
        let Some(first) = body.next().await else {
            return check_length(length, 0);
        };
        let result = self.stream(session, length, first, body).await;
        if let Err(Error::Body(_)) = &result {
            self.advance(session).await?;
        }
        result
    }

    async fn stream<B: ByteSource>(
        &self,
        session: &mut Session,
        length: Option<u64>,
        first: Result<bytes::Bytes, BodyFailure>,
        mut body: B,
    ) -> Result<(), Error> {
        let begin = session.offset();
        let hash = HashOnTheWay::of(session.hasher.clone());
        let mut appender = self
            .store
            .appender(session.key, &session.state, hash.witness())
            .await?;
        let (mut received, mut unflushed) = (0u64, 0u64);
        let mut next = Some(first);
        let mut failure = None;
        while let Some(chunk) = next {
            let chunk = match chunk {
                Ok(chunk) => chunk,
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            };
            received += chunk.len() as u64;
            if let Some(length) = length.filter(|length| received > *length) {
                return Err(Error::SizeInvalid {
                    declared: length,
                    actual: received,
                });
            }
            unflushed += chunk.len() as u64;
            self.disk.take(chunk.len() as u64)?;
            appender.write(chunk).await?;
            if unflushed >= self.settings.checkpoint_bytes {
                session.state = appender.flush_durable().await?;
                session.hasher = hash.so_far();
                session.durable = session.progress();
                failpoint!("registry::upload::checkpoint");
                self.advance(session).await?;
                unflushed = 0;
            }
            next = body.next().await;
        }
        if failure.is_none() {
            check_length(length, received)?;
        }
        session.state = appender.finish().await?;
        failpoint!("registry::upload::received");
        session.hasher = hash.so_far();
        assert_eq!(
            session.offset(),
            begin + received,
            "the store counts the bytes it was given"
        );
        failure.map_or(Ok(()), |failure| Err(Error::Body(failure)))
    }

    /// Stores how far the session is.
    pub(crate) async fn advance(&self, session: &mut Session) -> Result<(), Error> {
        let advance = Advance {
            progress: session.progress(),
            durable: Some(session.durable.clone()),
            boot_id: self.boot_id.clone(),
            expires_at: self.session_end(),
        };
        let fence = self
            .metadata
            .advance_upload(session.id, session.fence, advance)
            .await?;
        session.fence = fence.ok_or(Error::UploadUnknown)?;
        failpoint!("registry::upload::advanced");
        Ok(())
    }
}

/// The length that the body must have, where the request says one.
fn check_declared(session: &Session, declared: Declared) -> Result<Option<u64>, Error> {
    let Some(range) = declared.range else {
        return Ok(declared.length);
    };
    if range.first() != session.offset() {
        return Err(Error::UploadRange {
            offset: session.offset(),
        });
    }
    if let Some(length) = declared.length {
        check_length(Some(range.length()), length)?;
    }
    Ok(Some(range.length()))
}

fn check_length(declared: Option<u64>, actual: u64) -> Result<(), Error> {
    match declared {
        Some(declared) if declared != actual => Err(Error::SizeInvalid { declared, actual }),
        _ => Ok(()),
    }
}
