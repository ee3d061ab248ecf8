//! A bound on what all requests together hold in memory.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// Room for so many bytes; who wants more than is left waits.
#[derive(Debug)]
pub(crate) struct Room {
    left: Arc<Semaphore>,
    all: u32,
}

/// Room is counted in steps of this many bytes.
const STEP_BYTES: usize = 1 << 10;

impl Room {
    pub(crate) fn of(bytes: usize) -> Self {
        let all = steps(bytes);
        Self {
            left: Arc::new(Semaphore::new(usize::try_from(all).unwrap_or(usize::MAX))),
            all,
        }
    }

    /// Takes room for so many bytes, given back when what is returned is dropped. `None` only at
    /// the end of the program.
    pub(crate) async fn take(&self, bytes: usize) -> Option<SemaphorePermit<'_>> {
        self.left
            .acquire_many(steps(bytes).min(self.all))
            .await
            .ok()
    }

    /// Has bytes hold their room for as long as anybody has them. `None` where there is too little
    /// now.
    pub(crate) fn try_hold(&self, bytes: Bytes) -> Option<Bytes> {
        let wanted = steps(bytes.len()).min(self.all);
        let room = Arc::clone(&self.left).try_acquire_many_owned(wanted).ok()?;
        Some(Bytes::from_owner(Held { bytes, _room: room }))
    }
}

struct Held {
    bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

fn steps(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(STEP_BYTES)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_finds_no_room_waits_for_it() {
        let room = Room::of(4 << 10);
        let first = room.take(3 << 10).await;
        let mut second = Box::pin(room.take(2 << 10));
        assert!(futures_util::poll!(second.as_mut()).is_pending());
        drop(first);
        assert!(second.await.is_some());
        assert!(
            room.take(1 << 20).await.is_some(),
            "what never fits gets all there is"
        );
    }

    #[test]
    fn bytes_hold_their_room_as_long_as_a_part_of_them_lives() {
        let room = Room::of(4 << 10);
        let bytes = || Bytes::from(vec![7; 3 << 10]);
        let mut first = room.try_hold(bytes()).unwrap();
        assert_eq!(first, bytes());
        let part = first.split_off(10);
        drop(first);
        assert!(room.try_hold(bytes()).is_none());
        drop(part);
        assert!(room.try_hold(bytes()).is_some());
    }
}
