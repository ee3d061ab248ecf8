//! How far an object is that is still being written.

use bytes::Bytes;

/// What a store needs to go on with an object: opaque, small, and written with a version, so that
/// another process can go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendState {
    offset: u64,
}

/// Bytes that are no state of a version that this release knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the state of an object that is being written")]
pub struct AppendStateError;

const VERSION: u8 = 1;

impl AppendState {
    /// Of an object that nothing was written to.
    #[must_use]
    pub const fn start() -> Self {
        Self { offset: 0 }
    }

    pub(crate) const fn at(offset: u64) -> Self {
        Self { offset }
    }

    /// Bytes that the object has.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// The state as it is kept.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut bytes = Vec::with_capacity(1 + size_of::<u64>());
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.offset.to_be_bytes());
        bytes.into()
    }

    /// Reads what [`AppendState::to_bytes`] wrote.
    ///
    /// # Errors
    /// Everything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, AppendStateError> {
        match bytes {
            [VERSION, offset @ ..] => {
                let offset = offset.try_into().map_err(|_| AppendStateError)?;
                Ok(Self::at(u64::from_be_bytes(offset)))
            }
            _ => Err(AppendStateError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_kept_is_read_again(offset: u64) {
            let state = AppendState::at(offset);
            prop_assert_eq!(AppendState::from_bytes(&state.to_bytes()), Ok(state));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..20)) {
            if let Ok(state) = AppendState::from_bytes(&bytes) {
                prop_assert_eq!(state.to_bytes(), bytes);
            }
        }
    }
}
