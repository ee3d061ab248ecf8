//! Hashing that can be put down and taken up again: the state after any byte is a small value.
//!
//! Stored form: one version byte, one algorithm byte, then the state of the hash function. A state
//! of another version is refused, never guessed at.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use roadstead_oci::{Algorithm, Digest};
use roadstead_storage::Witness;
use sha2::Digest as _;
use sha2::digest::common::hazmat::{SerializableState, SerializedState};
use sha2::{Sha256, Sha512};

use crate::error::Error;

/// A running hash in one of the algorithms of the specification.
#[derive(Debug, Clone)]
pub(crate) enum Hasher {
    Sha256(Sha256),
    Sha512(Sha512),
}

const VERSION: u8 = 1;
const SHA256: u8 = 1;
const SHA512: u8 = 2;
/// Bytes of a number of blocks that may be other than zero: 2^48 blocks are 16 PiB and more.
const BLOCKS_MAX_BYTES: usize = 6;

impl Hasher {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
            Algorithm::Sha512 => Self::Sha512(Sha512::new()),
        }
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        match self {
            Self::Sha256(_) => Algorithm::Sha256,
            Self::Sha512(_) => Algorithm::Sha512,
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hash) => hash.update(bytes),
            Self::Sha512(hash) => hash.update(bytes),
        }
    }

    pub(crate) fn digest(self) -> Digest {
        let algorithm = self.algorithm();
        let digest = match self {
            Self::Sha256(hash) => Digest::from_bytes(algorithm, &hash.finalize()),
            Self::Sha512(hash) => Digest::from_bytes(algorithm, &hash.finalize()),
        };
        #[expect(
            clippy::expect_used,
            reason = "a hash function's output has its algorithm's length"
        )]
        digest.expect("output length of the algorithm")
    }

    pub(crate) fn state(&self) -> Bytes {
        let mut state = vec![VERSION];
        match self {
            Self::Sha256(hash) => {
                state.push(SHA256);
                state.extend_from_slice(&hash.serialize());
            }
            Self::Sha512(hash) => {
                state.push(SHA512);
                state.extend_from_slice(&hash.serialize());
            }
        }
        state.into()
    }

    /// Takes up a stored state.
    ///
    /// # Errors
    /// [`Error::HashState`] where it is not one of this version.
    pub(crate) fn resume(state: &[u8]) -> Result<Self, Error> {
        match state {
            [VERSION, SHA256, inner @ ..] => restore(inner, 32..40).map(Self::Sha256),
            [VERSION, SHA512, inner @ ..] => restore(inner, 64..80).map(Self::Sha512),
            _ => Err(Error::HashState),
        }
    }
}

/// The hash of an object's bytes, which the thread that writes them makes: there they are at hand, and
/// whoever receives them and serves others meanwhile does not wait for it.
#[derive(Debug, Clone)]
pub(crate) struct HashOnTheWay(Arc<Mutex<Hasher>>);

impl HashOnTheWay {
    /// Goes on with `hasher`.
    pub(crate) fn of(hasher: Hasher) -> Self {
        Self(Arc::new(Mutex::new(hasher)))
    }

    /// What the store is to show the bytes to.
    pub(crate) fn witness(&self) -> Box<dyn Witness> {
        Box::new(self.clone())
    }

    /// The hash of all that the store has shown.
    pub(crate) fn so_far(&self) -> Hasher {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Hasher> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Witness for HashOnTheWay {
    fn see(&mut self, bytes: &[u8]) {
        self.lock().update(bytes);
    }
}

/// The digest of bytes that are all here.
pub(crate) fn digest_of(algorithm: Algorithm, bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::new(algorithm);
    hasher.update(bytes);
    hasher.digest()
}

/// Takes up the state of a hash function, which counts its blocks in the bytes `count`, the lowest
/// first. One that counts more than any object has is damaged; the functions would overflow on it.
fn restore<H: SerializableState>(inner: &[u8], count: Range<usize>) -> Result<H, Error> {
    let count = inner.get(count).ok_or(Error::HashState)?;
    if count[BLOCKS_MAX_BYTES..].iter().any(|byte| *byte != 0) {
        return Err(Error::HashState);
    }
    let state = SerializedState::<H>::try_from(inner).map_err(|_| Error::HashState)?;
    H::deserialize(&state).map_err(|_| Error::HashState)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Found by fuzzing: the bits of so many blocks overflow.
    #[test]
    fn a_state_that_counts_more_than_any_object_has_is_refused() {
        for (algorithm, highest) in [(Algorithm::Sha256, 2 + 39), (Algorithm::Sha512, 2 + 79)] {
            let state = Hasher::new(algorithm).state();
            assert!(Hasher::resume(&state).is_ok());
            let mut damaged = state.to_vec();
            damaged[highest] = 0x80;
            let refused = Hasher::resume(&damaged).map(Hasher::digest);
            assert!(refused.is_err(), "{algorithm:?}");
        }
    }

    /// Where the number of blocks stands in a state, which the bound on it relies on.
    #[test]
    fn a_state_counts_its_blocks_where_they_are_looked_for() {
        for (algorithm, at) in [(Algorithm::Sha256, 2 + 32), (Algorithm::Sha512, 2 + 64)] {
            let mut hasher = Hasher::new(algorithm);
            hasher.update(&[7; 128 * 10]);
            let blocks = if algorithm == Algorithm::Sha256 {
                20
            } else {
                10
            };
            assert_eq!(hasher.state()[at], blocks, "{algorithm:?}");
        }
    }

    proptest! {
        #[test]
        fn a_state_taken_up_gives_the_same_digest(
            bytes in proptest::collection::vec(any::<u8>(), 0..1000),
            cut in 0usize..1000,
            sha512 in any::<bool>(),
        ) {
            let algorithm = if sha512 { Algorithm::Sha512 } else { Algorithm::Sha256 };
            let (head, tail) = bytes.split_at(cut.min(bytes.len()));
            let mut first = Hasher::new(algorithm);
            first.update(head);
            let mut second = Hasher::resume(&first.state()).unwrap();
            second.update(tail);
            prop_assert_eq!(second.digest(), digest_of(algorithm, &bytes));
        }

        #[test]
        fn a_damaged_state_is_refused_without_a_panic(state in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(hasher) = Hasher::resume(&state) {
                let _ = hasher.digest();
            }
        }
    }
}
