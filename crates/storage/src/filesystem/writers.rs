//! One writer an object, its last write included: a write whose caller went away still runs on its
//! thread, and must not land on what the next writer wrote.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

use crate::key::Key;

/// The objects that are being written to.
#[derive(Debug, Default)]
pub(super) struct Writers(Mutex<HashMap<Key, Weak<Turn<()>>>>);

/// The right to write to an object. Every write under way holds a copy; the next writer gets it
/// when all are gone.
#[derive(Debug, Clone)]
pub(super) struct Claim(#[expect(dead_code, reason = "held, never read")] Arc<OwnedMutexGuard<()>>);

/// Entries after which those that nobody holds are cleared away.
const ENTRIES_KEPT: usize = 64;

impl Writers {
    /// Waits for the turn to write to an object.
    pub(super) async fn claim(&self, key: Key) -> Claim {
        let turn = self.turn(key);
        Claim(Arc::new(turn.lock_owned().await))
    }

    fn turn(&self, key: Key) -> Arc<Turn<()>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(&key).and_then(Weak::upgrade) {
            return turn;
        }
        if turns.len() >= ENTRIES_KEPT && turns.len().is_power_of_two() {
            turns.retain(|_, turn| turn.strong_count() > 0);
        }
        let turn = Arc::new(Turn::new(()));
        turns.insert(key, Arc::downgrade(&turn));
        turn
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[tokio::test]
    async fn the_next_writer_waits_for_the_last_write_of_the_one_before() {
        let writers = Writers::default();
        let key = Key::random();
        let claim = writers.claim(key).await;
        let write_under_way = claim.clone();
        drop(claim);
        let mut next = pin!(writers.claim(key));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(matches!(next.as_mut().poll(&mut cx), Poll::Pending));
        writers.claim(Key::random()).await;
        drop(write_under_way);
        next.await;
    }

    #[tokio::test]
    async fn what_nobody_holds_is_cleared_away() {
        let writers = Writers::default();
        for _ in 0..10 * ENTRIES_KEPT {
            writers.claim(Key::random()).await;
        }
        assert!(writers.0.lock().unwrap().len() <= 2 * ENTRIES_KEPT);
    }
}
