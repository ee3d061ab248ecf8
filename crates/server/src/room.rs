//! A bound on what all requests together hold in memory.

use tokio::sync::{Semaphore, SemaphorePermit};

/// Room for so many bytes; who wants more than is left waits.
#[derive(Debug)]
pub(crate) struct Room {
    left: Semaphore,
    all: u32,
}

/// Room is counted in steps of this many bytes.
const STEP_BYTES: usize = 1 << 10;

impl Room {
    pub(crate) fn of(bytes: usize) -> Self {
        let all = steps(bytes);
        Self {
            left: Semaphore::new(usize::try_from(all).unwrap_or(usize::MAX)),
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
}
