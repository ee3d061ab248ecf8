//! Checks passwords without letting them take the machine.
//!
//! As many hashes as there are cores are computed at once, on threads that give way to all others; a bounded
//! number waits, and whoever comes then is told to come again. Requests with the same credentials
//! share one check. Whoever may not try now is told so late, so that trying for ever costs the
//! machine little. Whatever the outcome, a check does the same work: an unknown user and a
//! password that bcrypt would cut off cost as much as a wrong one.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::num::NonZero;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot::error::RecvError;
use tokio::sync::{OnceCell, Semaphore, oneshot};

use crate::accepted::{Accepted, Mark, Marker};
use crate::backoff::{Attempt, LoginBackoff};
use crate::basic::Credentials;
use crate::hash::Hash;
#[cfg(test)]
use crate::htpasswd::Users;
use crate::secret::Secret;

/// Checks passwords.
pub(crate) struct Verifier {
    marker: Marker,
    accepted: Mutex<Accepted>,
    flights: Mutex<Flights>,
    /// Checks that run or wait.
    places: Semaphore,
    backoff: LoginBackoff,
    /// Checks that run.
    cores: Arc<Semaphore>,
    /// Answers that are held.
    held: Semaphore,
}

/// Why a password was not checked.
#[derive(Debug)]
pub(crate) enum NotChecked {
    /// Too many are being checked.
    Busy,
    /// Too many were wrong: to be tried again after this long.
    Wait(Duration),
    /// The check broke off.
    Failed(RecvError),
    /// The system gives no thread.
    NoThread(std::io::Error),
}

/// The checks under way, by what they check.
type Flights = HashMap<Mark, Arc<OnceCell<bool>>>;

/// One request's part in a check.
struct Flight<'a> {
    flights: &'a Mutex<Flights>,
    mark: Mark,
    outcome: Arc<OnceCell<bool>>,
}

/// Checks that may wait or run for each core: a few seconds' worth at bcrypt's usual cost.
const PLACES_PER_CORE: usize = 32;
/// Of the threads that compute hashes (`setpriority`): Linux has one for each thread.
const NICE: i32 = 10;
/// The longest that a check waits for a core.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it takes to be told that a password may not be tried now.
const HOLD: Duration = Duration::from_secs(1);
/// Answers that are held at once: each keeps its request in memory.
const HELD_MAX: usize = 1024;

impl Verifier {
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self::with(cores, cores.saturating_mul(PLACES_PER_CORE))
    }

    fn with(cores: usize, places: usize) -> Result<Self, getrandom::Error> {
        Ok(Self {
            marker: Marker::new()?,
            accepted: Mutex::default(),
            flights: Mutex::default(),
            places: Semaphore::new(places),
            backoff: LoginBackoff::new(),
            cores: Arc::new(Semaphore::new(cores)),
            held: Semaphore::new(HELD_MAX),
        })
    }

    #[cfg(test)]
    async fn verify(&self, users: &Users, credentials: &Credentials) -> Result<bool, NotChecked> {
        let known = users.find(&credentials.user);
        self.verify_one(known, users.nobody(0), credentials, None)
            .await
    }

    /// Whether the password is the one of a user who has this hash. `None`: there is no such user,
    /// and `nobody` is checked, so that it takes as long.
    ///
    /// # Cancel safety
    /// A hash that is being computed is computed to its end, and holds its core until then; another
    /// request that waits for the same check makes it anew.
    pub(crate) async fn verify_one(
        &self,
        known: Option<&Hash>,
        nobody: &Hash,
        credentials: &Credentials,
        client: Option<IpAddr>,
    ) -> Result<bool, NotChecked> {
        let (user, password) = (credentials.user.as_str(), &credentials.password);
        let hash = known.unwrap_or(nobody);
        let mark = self.marker.mark(user, password, hash.text());
        if lock(&self.accepted).contains(&mark, Instant::now()) {
            return Ok(true);
        }
        let possible = known.is_some_and(|hash| hash.can_tell(password.expose()));
        let flight = self.join(mark);
        let outcome = flight
            .outcome
            .get_or_try_init(|| async {
                let attempt = self.attempt(user, client)?;
                let right = self.matches(password, hash).await? && possible;
                if right {
                    attempt.succeeded(Instant::now());
                    lock(&self.accepted).insert(mark, Instant::now());
                } else {
                    attempt.failed(Instant::now());
                }
                Ok(right)
            })
            .await;
        outcome.copied()
    }

    /// Lets a password be tried, wherever it is then checked.
    ///
    /// # Errors
    /// [`NotChecked::Wait`].
    pub(crate) fn attempt(
        &self,
        user: &str,
        client: Option<IpAddr>,
    ) -> Result<Attempt<'_>, NotChecked> {
        let attempt = self.backoff.check(user, client, Instant::now());
        attempt.map_err(NotChecked::Wait)
    }

    /// Holds for [`HOLD`] the answer that a password may not be tried now, so that clients who try
    /// again at once cost next to nothing. [`HELD_MAX`] are held at most, any more go out at once.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(crate) async fn hold(&self, why: NotChecked) -> NotChecked {
        let (NotChecked::Busy | NotChecked::Wait(_)) = why else {
            return why;
        };
        let Ok(_held) = self.held.try_acquire() else {
            return why;
        };
        tokio::time::sleep(HOLD).await;
        match why {
            NotChecked::Wait(wait) => NotChecked::Wait(wait.saturating_sub(HOLD)),
            other => other,
        }
    }

    /// Waits for a core and computes.
    async fn matches(&self, password: &Secret, hash: &Hash) -> Result<bool, NotChecked> {
        let _place = self.places.try_acquire().map_err(|_| NotChecked::Busy)?;
        let core = Arc::clone(&self.cores).acquire_owned();
        let Ok(Ok(core)) = tokio::time::timeout(PATIENCE, core).await else {
            return Err(NotChecked::Busy);
        };
        let (password, hash) = (password.clone(), hash.clone());
        let (told, outcome) = oneshot::channel();
        // A thread costs a thousandth of a hash.
        let thread = std::thread::Builder::new().name("password".to_owned());
        thread
            .spawn(move || {
                yield_to_others();
                let matches = hash.matches(password.expose());
                drop(core);
                // Whoever asked may be gone.
                let _ = told.send(matches);
            })
            .map_err(NotChecked::NoThread)?;
        outcome.await.map_err(NotChecked::Failed)
    }

    fn join(&self, mark: Mark) -> Flight<'_> {
        let outcome = Arc::clone(lock(&self.flights).entry(mark).or_default());
        Flight {
            flights: &self.flights,
            mark,
            outcome,
        }
    }
}

impl Drop for Flight<'_> {
    /// The check is forgotten once it is made, or once nobody waits for it.
    fn drop(&mut self) {
        let mut flights = lock(self.flights);
        let Entry::Occupied(entry) = flights.entry(self.mark) else {
            return;
        };
        if !Arc::ptr_eq(entry.get(), &self.outcome) {
            return;
        }
        // Taken and given back under the lock alone, so that the last to leave knows that it is.
        self.outcome = Arc::default();
        if entry.get().initialized() || Arc::strong_count(entry.get()) == 1 {
            entry.remove();
        }
    }
}

/// Whoever tries passwords takes no core from those who are known already: this thread runs where
/// others leave time, and in a tenth of the time where they leave none.
fn yield_to_others() {
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        // Only slower for others.
        tracing::debug!(%error, "a thread for passwords has the priority of all");
    }
}

/// Whatever panicked under the lock left nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use crate::htpasswd::Listing;

    use super::*;

    fn users(pairs: &[(&str, &[u8])]) -> Users {
        let line = |(user, password): &(&str, &[u8])| {
            format!("{user}:{}\n", bcrypt::hash(password, 4).unwrap())
        };
        let text: String = pairs.iter().map(line).collect();
        Users::new(Listing::parse(text.as_bytes())).unwrap()
    }

    fn credentials(user: &str, password: impl AsRef<[u8]>) -> Credentials {
        Credentials {
            user: user.to_owned(),
            password: Secret::new(password.as_ref()),
        }
    }

    #[tokio::test]
    async fn only_the_right_password_of_a_known_user_is_right() {
        let long = [b'x'; 72];
        let users = users(&[
            ("alice", b"a:b"),
            ("дмитрий", "пароль".as_bytes()),
            ("long", &long),
            ("short", b"a"),
        ]);
        let verifier = Verifier::new().unwrap();
        let too_long = [&long[..], b"y"].concat();
        for _ in 0..2 {
            for (user, password, expected) in [
                ("alice", &b"a:b"[..], true),
                ("alice", b"a", false),
                ("alice", b"a:b ", false),
                ("Alice", b"a:b", false),
                ("bob", b"a:b", false),
                ("дмитрий", "пароль".as_bytes(), true),
                ("дмитрий", b"\xff", false),
                ("long", &long, true),
                ("long", &long[..71], false),
                ("long", &too_long, false),
                ("short", b"a", true),
                ("short", b"a\0", false),
                // One password to bcrypt, were it asked.
                ("short", b"a\0a", false),
                // Nobody's hash is all zeroes; it is no way in.
                ("", b"", false),
            ] {
                let verdict = verifier.verify(&users, &credentials(user, password)).await;
                assert_eq!(verdict.unwrap(), expected, "{user} {password:?}");
            }
        }
        assert!(lock(&verifier.flights).is_empty());
    }

    #[tokio::test]
    async fn what_was_right_is_not_right_for_another_hash() {
        let (before, after) = (users(&[("a", b"old")]), users(&[("a", b"new")]));
        let verifier = Verifier::new().unwrap();
        let old = credentials("a", "old");
        assert!(verifier.verify(&before, &old).await.unwrap());
        assert!(!verifier.verify(&after, &old).await.unwrap());
        assert!(
            !verifier
                .verify(&users(&[("b", b"old")]), &old)
                .await
                .unwrap()
        );
    }

    #[tokio::test]
    async fn beyond_the_places_there_is_no_waiting() {
        let users = users(&[("a", b"right")]);
        let verifier = Verifier::with(1, 1).unwrap();
        let right = credentials("a", "right");
        assert!(verifier.verify(&users, &right).await.unwrap());
        let place = verifier.places.try_acquire().unwrap();
        let wrong = verifier.verify(&users, &credentials("a", "wrong")).await;
        assert!(matches!(wrong, Err(NotChecked::Busy)));
        // Who logged in before does not notice.
        assert!(verifier.verify(&users, &right).await.unwrap());
        drop(place);
        assert!(
            !verifier
                .verify(&users, &credentials("a", "wrong"))
                .await
                .unwrap()
        );
        assert!(lock(&verifier.flights).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_may_not_try_is_told_so_late() {
        let verifier = Verifier::with(1, 1).unwrap();
        let held = async |why| {
            let begin = tokio::time::Instant::now();
            (verifier.hold(why).await, begin.elapsed())
        };
        let (why, took) = held(NotChecked::Busy).await;
        assert!(matches!(why, NotChecked::Busy) && took >= HOLD);
        // What is left of the wait once the answer comes.
        for (wait, left) in [(60, 59), (1, 0)] {
            let (why, took) = held(NotChecked::Wait(Duration::from_secs(wait))).await;
            let NotChecked::Wait(told) = why else {
                panic!("{why:?}");
            };
            assert_eq!(told, Duration::from_secs(left));
            assert!(took >= HOLD);
        }
        let no_thread = NotChecked::NoThread(std::io::ErrorKind::WouldBlock.into());
        assert_eq!(held(no_thread).await.1, Duration::ZERO);
        let _all = verifier.held.try_acquire_many(HELD_MAX as u32).unwrap();
        let (why, took) = held(NotChecked::Wait(Duration::from_secs(60))).await;
        assert!(matches!(why, NotChecked::Wait(wait) if wait.as_secs() == 60));
        assert_eq!(took, Duration::ZERO);
    }

    #[tokio::test]
    async fn the_same_credentials_share_one_check() {
        let users = users(&[("a", b"right")]);
        let verifier = Verifier::with(1, 1).unwrap();
        for (password, expected) in [("right", true), ("wrong", false)] {
            let credentials = credentials("a", password);
            let check = || verifier.verify(&users, &credentials);
            let (one, two, three) = tokio::join!(check(), check(), check());
            for verdict in [one, two, three] {
                assert_eq!(verdict.unwrap(), expected);
            }
        }
        assert!(lock(&verifier.flights).is_empty());
    }

    #[tokio::test]
    async fn a_check_that_was_given_up_leaves_nothing() {
        let users = users(&[("a", b"right")]);
        let verifier = Verifier::with(1, 1).unwrap();
        let core = Arc::clone(&verifier.cores).acquire_owned().await.unwrap();
        let right = credentials("a", "right");
        let given_up = verifier.verify(&users, &right);
        assert!(
            tokio::time::timeout(Duration::from_millis(1), given_up)
                .await
                .is_err()
        );
        assert!(lock(&verifier.flights).is_empty());
        drop(core);
        assert!(verifier.verify(&users, &right).await.unwrap());
    }
}
