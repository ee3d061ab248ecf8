//! Hashing beside the task that receives: where both took turns on one thread, a push was as slow
//! as the two together, and whoever else is served by that thread waited for both.

use std::mem;

use bytes::Bytes;
use tokio::task::JoinHandle;

use crate::error::Error;
use crate::hashing::Hasher;

/// Bytes that are gathered for one step.
const STEP_BYTES: usize = 256 << 10;
/// Pieces that are gathered at most: each may hold more memory than it has bytes.
const PIECES_MAX: usize = 32;
/// Less than this is not worth another thread's time.
const SMALL_BYTES: usize = 32 << 10;

/// A running hash of what it is given, in order.
pub(crate) struct HashingAside {
    hasher: Place,
    gathered: Vec<Bytes>,
    gathered_bytes: usize,
}

/// The hash, or the thread that has it.
enum Place {
    Here(Box<Hasher>),
    Aside(JoinHandle<Box<Hasher>>),
    /// The thread that had it ended without giving it back.
    Lost,
}

impl HashingAside {
    pub(crate) fn new(hasher: Hasher) -> Self {
        Self {
            hasher: Place::Here(Box::new(hasher)),
            gathered: Vec::new(),
            gathered_bytes: 0,
        }
    }

    /// Takes more bytes, and waits where two steps of them are not hashed yet.
    ///
    /// # Errors
    /// [`Error::CutOff`] where the process is ending.
    pub(crate) async fn update(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.gathered_bytes += bytes.len();
        self.gathered.push(bytes);
        if self.gathered_bytes < STEP_BYTES && self.gathered.len() < PIECES_MAX {
            return Ok(());
        }
        if self.gathered_bytes < SMALL_BYTES {
            return self.caught_up().await.map(drop);
        }
        let mut hasher = self.here().await?;
        let chunks = mem::take(&mut self.gathered);
        self.gathered_bytes = 0;
        self.hasher = Place::Aside(tokio::task::spawn_blocking(move || {
            chunks.iter().for_each(|chunk| hasher.update(chunk));
            hasher
        }));
        Ok(())
    }

    /// The hash of everything so far.
    ///
    /// # Errors
    /// [`Error::CutOff`] where the process is ending.
    pub(crate) async fn hasher(&mut self) -> Result<Hasher, Error> {
        Ok(self.caught_up().await?.clone())
    }

    async fn caught_up(&mut self) -> Result<&mut Hasher, Error> {
        let mut hasher = self.here().await?;
        self.gathered_bytes = 0;
        for chunk in self.gathered.drain(..) {
            hasher.update(&chunk);
        }
        self.hasher = Place::Here(hasher);
        match &mut self.hasher {
            Place::Here(hasher) => Ok(hasher),
            Place::Aside(_) | Place::Lost => Err(Error::CutOff),
        }
    }

    /// Waits for the step under way. The hash is the caller's then.
    async fn here(&mut self) -> Result<Box<Hasher>, Error> {
        match mem::replace(&mut self.hasher, Place::Lost) {
            Place::Here(hasher) => Ok(hasher),
            Place::Aside(step) => step.await.map_err(|_| Error::CutOff),
            Place::Lost => Err(Error::CutOff),
        }
    }
}

#[cfg(test)]
mod tests {
    use roadstead_oci::Algorithm;

    use super::*;
    use crate::hashing::digest_of;

    #[tokio::test]
    async fn pieces_of_any_size_give_the_hash_of_the_whole() {
        let whole = Bytes::from_iter((0..1_500_000u32).map(|number| number.to_le_bytes()[1]));
        for size in [
            1_000,
            70_001,
            STEP_BYTES - 1,
            STEP_BYTES,
            STEP_BYTES + 1,
            1_500_000,
        ] {
            let mut hashing = HashingAside::new(Hasher::new(Algorithm::Sha256));
            let mut given = 0;
            for at in (0..whole.len()).step_by(size) {
                let piece = whole.slice(at..whole.len().min(at + size));
                given += piece.len();
                hashing.update(piece).await.unwrap();
                // Looking on the way changes nothing.
                if at % 3 == 0 {
                    let so_far = hashing.hasher().await.unwrap().digest();
                    assert_eq!(so_far, digest_of(Algorithm::Sha256, &whole[..given]));
                }
            }
            let digest = hashing.hasher().await.unwrap().digest();
            assert_eq!(digest, digest_of(Algorithm::Sha256, &whole), "{size}");
        }
    }
}
