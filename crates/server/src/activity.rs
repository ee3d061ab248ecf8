//! What goes on on one connection, as far as its time budgets need to know.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// Shared by a connection's bytes, its requests and its watch.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    /// Requests whose headers came and whose answer is not sent whole.
    requests: AtomicUsize,
    /// Answers whose body is on its way.
    sending: AtomicUsize,
    /// Bytes of answers that the connection took.
    sent_bytes: AtomicU64,
    /// A request's body was not read to its end: what still comes is to be thrown away.
    unread: AtomicBool,
    /// The head that came last says the length of its body in two ways.
    two_lengths: AtomicBool,
}

/// Counts one for as long as it lives.
#[derive(Debug)]
pub(crate) struct Counted {
    activity: std::sync::Arc<Activity>,
    of: Count,
}

#[derive(Debug, Clone, Copy)]
enum Count {
    Request,
    Sending,
}

impl Activity {
    pub(crate) fn request(self: &std::sync::Arc<Self>) -> Counted {
        Counted::new(self, Count::Request)
    }

    pub(crate) fn sending(self: &std::sync::Arc<Self>) -> Counted {
        Counted::new(self, Count::Sending)
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

    pub(crate) fn set_two_lengths(&self, has: bool) {
        self.two_lengths.store(has, Ordering::Release);
    }

    /// Whether the head did so that was read for the request that asks.
    pub(crate) fn take_two_lengths(&self) -> bool {
        self.two_lengths.swap(false, Ordering::AcqRel)
    }

    fn counter(&self, of: Count) -> &AtomicUsize {
        match of {
            Count::Request => &self.requests,
            Count::Sending => &self.sending,
        }
    }
}

impl Counted {
    fn new(activity: &std::sync::Arc<Activity>, of: Count) -> Self {
        activity.counter(of).fetch_add(1, Ordering::AcqRel);
        Self {
            activity: std::sync::Arc::clone(activity),
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
