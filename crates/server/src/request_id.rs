//! The id of a request: in its answer, in the log and in the journal.

use std::cell::RefCell;
use std::fmt;

use http::HeaderValue;
use uuid::{Builder, Uuid};

/// A random (version 4) UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RequestId(Uuid);

impl RequestId {
    /// A fresh one. Random bytes are fetched for many at once: asking the kernel for each is a
    /// system call on the way of every request.
    pub(crate) fn random() -> Self {
        Self(STORE.with_borrow_mut(Store::next))
    }

    pub(crate) fn header(self) -> HeaderValue {
        let mut text = Uuid::encode_buffer();
        HeaderValue::from_str(self.0.hyphenated().encode_lower(&mut text))
            .unwrap_or_else(|_| HeaderValue::from_static(""))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

thread_local! {
    static STORE: RefCell<Store> = const { RefCell::new(Store { bytes: [0; STORED], used: STORED }) };
}

/// Random bytes of a thread that are not used yet.
struct Store {
    bytes: [u8; STORED],
    used: usize,
}

impl Store {
    fn next(&mut self) -> Uuid {
        if self.used == STORED {
            if getrandom::fill(&mut self.bytes).is_err() {
                // The kernel has no randomness to give: the library's own way reports that.
                return Uuid::new_v4();
            }
            self.used = 0;
        }
        let mut bytes = [0; ID_BYTES];
        bytes.copy_from_slice(&self.bytes[self.used..self.used + ID_BYTES]);
        self.used += ID_BYTES;
        Builder::from_random_bytes(bytes).into_uuid()
    }
}

const ID_BYTES: usize = 16;
const STORED: usize = 64 * ID_BYTES;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_different_random_uuids() {
        let ids: Vec<_> = (0..1_000).map(|_| RequestId::random()).collect();
        assert!(ids.iter().all(|id| id.0.get_version_num() == 4));
        let texts: HashSet<String> = ids.iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), ids.len());
        assert_eq!(ids[0].header().to_str().unwrap(), ids[0].to_string());
    }
}
