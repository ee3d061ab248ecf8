//! Keys that an issuer publishes: fetched before they are needed, kept while the issuer is away.
//!
//! One task fetches, at start, every ten minutes, and when a token names a key that is not known;
//! that last at most every half minute, so that nobody's made-up names become a load on the
//! issuer. Whoever waits for such a fetch waits for the task. Keys that could not be refreshed are
//! good for a day: after that nobody knows whether the issuer has withdrawn them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use futures_util::future::BoxFuture;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::{JwksError, KeySet};
use crate::fetch::{self, FetchError};
use crate::oidc::Discovery;
use crate::watched::lock;

/// Between two fetches.
const REFRESH: Duration = Duration::from_secs(600);
/// Between two fetches for the sake of unknown names.
const ON_DEMAND: Duration = Duration::from_secs(30);
/// The longest that a token waits for a fetch.
const PATIENCE: Duration = Duration::from_secs(5);
/// How old keys may be.
const STALE: Duration = Duration::from_secs(24 * 3600);
/// After failures: twice as long each time, between these.
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// What an issuer publishes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Document {
    pub(crate) keys: KeySet,
    /// The discovery document, where the keys were found by one.
    pub(crate) discovery: Option<Discovery>,
}

/// Why an issuer's keys cannot be fetched.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The document did not come.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The key set is not one.
    #[error("the key set at {url} cannot be used: {problem}")]
    Keys {
        /// Where it is.
        url: String,
        /// What is wrong with it.
        problem: JwksError,
    },
    /// The discovery document is not one.
    #[error("the discovery document at {url} cannot be used: {problem}")]
    Discovery {
        /// Where it is.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// The way to an issuer's keys.
pub(crate) trait Load: Send + Sync {
    /// Fetches them.
    fn load(&self) -> BoxFuture<'_, Result<Document, LoadError>>;
}

/// An issuer's keys as they were last fetched.
pub(crate) struct RemoteKeys {
    /// The issuer in log lines.
    name: String,
    source: Box<dyn Load>,
    fetched: ArcSwapOption<Fetched>,
    problem: ArcSwapOption<String>,
    generation: AtomicU64,
    /// Somebody needs a key that is not there.
    wanted: Notify,
    /// Counts the fetches that have ended, of whichever outcome.
    attempts: watch::Sender<u64>,
    demand: Mutex<Demand>,
}

/// The fetch that somebody asked for last.
#[derive(Default)]
struct Demand {
    /// It has ended when so many fetches have.
    attempt: u64,
    /// When somebody may ask for another.
    next: Option<Instant>,
}

struct Fetched {
    document: Arc<Document>,
    at: Instant,
}

/// No keys: never fetched, or too long ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the issuer's keys could not be fetched")]
pub(crate) struct NoKeys;

impl RemoteKeys {
    pub(crate) fn new(name: String, source: Box<dyn Load>) -> Self {
        Self {
            name,
            source,
            fetched: ArcSwapOption::empty(),
            problem: ArcSwapOption::empty(),
            generation: AtomicU64::new(0),
            wanted: Notify::new(),
            attempts: watch::Sender::new(0),
            demand: Mutex::default(),
        }
    }

    /// What was fetched last, unless that is too long ago.
    pub(crate) fn current(&self) -> Result<Arc<Document>, NoKeys> {
        let fetched = self.fetched.load();
        let fetched = fetched.as_ref().ok_or(NoKeys)?;
        if fetched.at.elapsed() > STALE {
            return Err(NoKeys);
        }
        Ok(Arc::clone(&fetched.document))
    }

    /// Why the keys are not as new as they should be.
    pub(crate) fn problem(&self) -> Option<String> {
        self.problem.load().as_deref().cloned()
    }

    /// A number that changes with each fetch that worked.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Asks for a fetch because something is missing, and waits for it to end; at once where the
    /// last such fetch is not long ago. Where nothing has been fetched yet it waits for the first
    /// fetch, and not at all once that has failed. Needs [`RemoteKeys::keep_current`] to run.
    pub(crate) async fn want(&self) {
        let attempt = match self.current() {
            Ok(_) => self.demand(),
            Err(NoKeys) if self.problem.load().is_some() => None,
            Err(NoKeys) => Some(1),
        };
        let Some(attempt) = attempt else {
            return;
        };
        let mut attempts = self.attempts.subscribe();
        let ended = attempts.wait_for(|ended| *ended >= attempt);
        // Whatever comes of it: the keys that are there then are the answer.
        let _late = tokio::time::timeout(PATIENCE, ended).await;
    }

    /// The fetch to wait for: one that was asked for and still runs, or a new one.
    fn demand(&self) -> Option<u64> {
        let (now, ended) = (Instant::now(), *self.attempts.borrow());
        let mut demand = lock(&self.demand);
        if demand.attempt > ended {
            return Some(demand.attempt);
        }
        if demand.next.is_some_and(|next| now < next) {
            return None;
        }
        *demand = Demand {
            attempt: ended + 1,
            next: Some(now + ON_DEMAND),
        };
        self.wanted.notify_one();
        Some(demand.attempt)
    }

    /// Fetches now and then, for ever. Dropping it between or within fetches is harmless.
    pub(crate) async fn keep_current(&self) {
        let mut back_off = BACK_OFF.0;
        loop {
            let fetched = self.refresh().await;
            let pause = if fetched {
                back_off = BACK_OFF.0;
                REFRESH
            } else {
                let pause = back_off;
                back_off = (back_off * 2).min(BACK_OFF.1);
                pause
            };
            let _woken = tokio::time::timeout(pause, self.wanted.notified()).await;
        }
    }

    /// Fetches once. Whether that worked.
    pub(crate) async fn refresh(&self) -> bool {
        let outcome = self.source.load().await;
        let fetched = match outcome {
            Ok(document) => {
                let at = Instant::now();
                let document = Arc::new(document);
                self.fetched.store(Some(Arc::new(Fetched { document, at })));
                self.generation.fetch_add(1, Ordering::Release);
                if self.problem.swap(None).is_some() {
                    tracing::info!(issuer = self.name, "the issuer's keys are fetched again");
                }
                true
            }
            Err(error) => {
                self.report(&fetch::chain(&error));
                false
            }
        };
        self.attempts.send_modify(|count| *count += 1);
        fetched
    }

    /// Logs a problem once, however often it is met.
    fn report(&self, problem: &str) {
        if self.problem().as_deref() == Some(problem) {
            return;
        }
        tracing::error!(
            issuer = self.name,
            problem,
            "the issuer's keys cannot be fetched; those of before are good for a day"
        );
        self.problem.store(Some(Arc::new(problem.to_owned())));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use crate::jose::parse_jwks;
    use crate::jose::signer::Signer;

    /// Answers with one set after the other, and fails once there is no more.
    struct Script(Mutex<VecDeque<&'static str>>);

    impl Load for Arc<Script> {
        fn load(&self) -> BoxFuture<'_, Result<Document, LoadError>> {
            let next = lock(&self.0).pop_front();
            Box::pin(async move {
                let kid = next.ok_or(LoadError::Fetch(FetchError::TimedOut))?;
                let keys = parse_jwks(&Signer::ed25519().jwks(kid)).unwrap().keys;
                let discovery = None;
                Ok(Document { keys, discovery })
            })
        }
    }

    fn remote(script: &[&'static str]) -> (Arc<Script>, Arc<RemoteKeys>) {
        let script = Arc::new(Script(Mutex::new(script.iter().copied().collect())));
        let keys = RemoteKeys::new("test".into(), Box::new(Arc::clone(&script)));
        (script, Arc::new(keys))
    }

    fn has(keys: &RemoteKeys, kid: &str) -> bool {
        keys.current()
            .is_ok_and(|document| document.keys.contains(kid))
    }

    #[tokio::test(start_paused = true)]
    async fn keys_are_refreshed_and_old_ones_end_after_a_day() {
        let (script, keys) = remote(&["first", "second"]);
        assert_eq!(keys.current().err(), Some(NoKeys));
        let task = tokio::spawn({
            let keys = Arc::clone(&keys);
            async move { keys.keep_current().await }
        });
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(has(&keys, "first"));
        tokio::time::sleep(REFRESH).await;
        assert!(has(&keys, "second") && !has(&keys, "first"));
        assert_eq!(keys.problem(), None);
        // Nothing more comes.
        tokio::time::sleep(STALE - Duration::from_secs(60)).await;
        assert!(has(&keys, "second"));
        assert!(keys.problem().unwrap().contains("longer than 10 s"));
        tokio::time::sleep(Duration::from_secs(120)).await;
        assert_eq!(keys.current().err(), Some(NoKeys));
        // The back-off is short enough for it to be found soon.
        lock(&script.0).push_back("third");
        tokio::time::sleep(BACK_OFF.1).await;
        assert!(has(&keys, "third"));
        assert_eq!(keys.problem(), None);
        task.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn unknown_names_cost_one_fetch_in_half_a_minute() {
        let (script, keys) = remote(&["a", "b", "c", "d"]);
        let left = || lock(&script.0).len();
        let task = tokio::spawn({
            let keys = Arc::clone(&keys);
            async move { keys.keep_current().await }
        });
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(left(), 3);
        let many = (0..50).map(|_| keys.want());
        futures_util::future::join_all(many).await;
        assert!(has(&keys, "b"));
        for _ in 0..50 {
            keys.want().await;
        }
        assert_eq!(left(), 2);
        tokio::time::sleep(ON_DEMAND).await;
        keys.want().await;
        assert!(has(&keys, "c"));
        assert_eq!(left(), 1);
        task.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever_for_a_task_that_does_not_run() {
        let (_script, keys) = remote(&["a"]);
        let began = Instant::now();
        keys.want().await;
        assert_eq!(began.elapsed(), PATIENCE);
    }
}
