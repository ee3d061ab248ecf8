//! What goes on on one connection, as far as its time budgets need to know.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// Shared by a connection's bytes, its requests and its watch.
#[derive(Debug)]
pub(crate) struct Activity {
    /// Requests whose headers came.
    begun: AtomicU64,
    /// Those of them whose answer is not sent whole.
    requests: AtomicUsize,
    /// Answers whose body is on its way.
    sending: AtomicUsize,
    /// Bytes of answers that the connection took.
    sent_bytes: AtomicU64,
    /// A request's body was not read to its end: what still comes is to be thrown away.
    unread: AtomicBool,
    /// The number of the first request that could be read in two ways.
    distrusted: AtomicU64,
}

/// Counts one for as long as it lives.
#[derive(Debug)]
pub(crate) struct Counted {
    activity: Arc<Activity>,
    of: Count,
}

#[derive(Debug, Clone, Copy)]
enum Count {
    Request,
    Sending,
}

impl Default for Activity {
    fn default() -> Self {
        Self {
            begun: AtomicU64::new(0),
            requests: AtomicUsize::new(0),
            sending: AtomicUsize::new(0),
            sent_bytes: AtomicU64::new(0),
            unread: AtomicBool::new(false),
            distrusted: AtomicU64::new(u64::MAX),
        }
    }
}

impl Activity {
    /// A request has begun. Its number, from 1.
    pub(crate) fn request(self: &Arc<Self>) -> (Counted, u64) {
        let counted = Counted::new(self, Count::Request);
        (counted, self.begun.fetch_add(1, Ordering::AcqRel) + 1)
    }

    /// An answer's body is on its way.
    pub(crate) fn sending(self: &Arc<Self>) -> Counted {
        Counted::new(self, Count::Sending)
    }

    pub(crate) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Acquire)
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.requests.load(Ordering::Acquire) == 0
    }

    pub(crate) fn is_sending(&self) -> bool {
        self.sending.load(Ordering::Acquire) > 0
    }

    pub(crate) fn sent(&self, bytes: usize) {
        self.sent_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn sent_bytes(&self) -> u64 {
        self.sent_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn leave_unread(&self) {
        self.unread.store(true, Ordering::Release);
    }

    pub(crate) fn left_unread(&self) -> bool {
        self.unread.load(Ordering::Acquire)
    }

    /// The request of that number, and all after it, could be read in two ways.
    pub(crate) fn distrust(&self, number: u64) {
        self.distrusted.store(number, Ordering::Release);
    }

    pub(crate) fn is_distrusted(&self, number: u64) -> bool {
        number >= self.distrusted.load(Ordering::Acquire)
    }

    fn counter(&self, of: Count) -> &AtomicUsize {
        match of {
            Count::Request => &self.requests,
            Count::Sending => &self.sending,
        }
    }
}

impl Counted {
    fn new(activity: &Arc<Activity>, of: Count) -> Self {
        activity.counter(of).fetch_add(1, Ordering::AcqRel);
        Self {
            activity: Arc::clone(activity),
            of,
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.activity
            .counter(self.of)
            .fetch_sub(1, Ordering::AcqRel);
    }
}
