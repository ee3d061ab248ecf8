//! Login back-off: whoever tries passwords waits longer and longer, before any hash is computed.
//!
//! - A user name from one address: [`PAIR_FREE`] wrong passwords are free, then the next try has to
//!   wait 1 s, doubled with each further wrong one up to [`WAIT_MAX`]. The right password clears it.
//! - An address, whatever the names: the same after [`ADDRESS_FREE`] wrong passwords. One right
//!   password does not clear it, or whoever has an account could try those of others for ever.
//! - A user name, whatever the address: it is never locked, since anybody could lock it. After
//!   [`USER_FREE`] wrong passwords only the first try from each address is free instead of
//!   [`PAIR_FREE`]. The user, from an address that has not tried before, gets in at once.
//!
//! Tries at the same time count as if they had failed until it is known whether they did, so that
//! many at once are no way round. Everything is forgotten [`MEMORY`] after the last wrong password.
//! Addresses are blocks: 64 bits of an IPv6 one. Memory is bounded: where there are more records
//! than there is room for, those that nobody came back to go first.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hash};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use quick_cache::UnitWeighter;
use quick_cache::unsync::{Cache, DefaultLifecycle};

use crate::network::AddressBlock;

/// Wrong passwords for a user name from one address that nobody waits for.
const PAIR_FREE: u32 = 5;
/// Wrong passwords from one address, whatever the names, that nobody waits for.
const ADDRESS_FREE: u32 = 20;
/// Wrong passwords for a user name, whatever the addresses, after which each address has one.
const USER_FREE: u32 = 50;
/// The first wait, which doubles.
const WAIT_MIN: Duration = Duration::from_secs(1);
/// The longest wait.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// After the last wrong password, everything is forgotten.
const MEMORY: Duration = Duration::from_secs(15 * 60);

/// Records of each kind at most, some hundred bytes each.
const RECORDS_MAX: usize = 1 << 15;

/// Counts wrong passwords.
pub struct LoginBackoff {
    /// Names are kept as keyed hashes: they are as long as clients like.
    names: RandomState,
    state: Mutex<State>,
}

struct State {
    pairs: Records<(u64, Option<AddressBlock>)>,
    addresses: Records<AddressBlock>,
    users: Records<u64>,
}

/// A try that may be made. Dropped without an outcome, it counts as neither right nor wrong.
#[must_use]
pub struct Attempt<'a> {
    backoff: &'a LoginBackoff,
    user: u64,
    address: Option<AddressBlock>,
}

impl LoginBackoff {
    /// Nobody has tried anything.
    #[must_use]
    pub fn new() -> Self {
        Self {
            names: RandomState::new(),
            state: Mutex::new(State {
                pairs: Records::new(),
                addresses: Records::new(),
                users: Records::new(),
            }),
        }
    }

    /// Lets a password be tried, or says for how long it may not. Called before its hash is
    /// computed, once for all requests that share the computation; not for a password that is known
    /// to be right.
    ///
    /// Without an address (a unix socket, a client whose proxy does not know it) only the name
    /// counts, as if all such clients had one address.
    ///
    /// # Errors
    /// How long to wait: above zero, and at most a minute.
    pub fn check(
        &self,
        user: &str,
        address: Option<IpAddr>,
        now: Instant,
    ) -> Result<Attempt<'_>, Duration> {
        let user = self.names.hash_one(user);
        let address = address.map(AddressBlock::of);
        let mut state = self.lock();
        let free = state.pair_free(user, now);
        let mut wait = state.pairs.get((user, address), now).wait(free, now);
        if let Some(address) = address {
            let tries = state.addresses.get(address, now);
            wait = wait.max(tries.wait(ADDRESS_FREE, now));
        }
        if !wait.is_zero() {
            return Err(wait);
        }
        state.pairs.change((user, address), now, Tries::begin);
        if let Some(address) = address {
            state.addresses.change(address, now, Tries::begin);
        }
        drop(state);
        Ok(Attempt {
            backoff: self,
            user,
            address,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Whatever panicked under the lock left nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for LoginBackoff {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    fn pair_free(&mut self, user: u64, now: Instant) -> u32 {
        let suspicious = self.users.get(user, now).failures >= USER_FREE;
        if suspicious { 1 } else { PAIR_FREE }
    }
}

impl Attempt<'_> {
    /// The password was wrong.
    pub fn failed(self, now: Instant) {
        let mut state = self.backoff.lock();
        let (user, address) = (self.user, self.address);
        state
            .users
            .change(user, now, |tries| tries.fail(u32::MAX, now));
        let free = state.pair_free(user, now);
        state
            .pairs
            .change((user, address), now, |tries| tries.fail(free, now));
        if let Some(address) = address {
            let fail = |tries: &mut Tries| tries.fail(ADDRESS_FREE, now);
            state.addresses.change(address, now, fail);
        }
    }

    /// The password was right: what this name did from this address is forgotten.
    pub fn succeeded(self, now: Instant) {
        let pair = (self.user, self.address);
        self.backoff.lock().pairs.change(pair, now, |tries| {
            *tries = Tries {
                pending: tries.pending,
                ..Tries::default()
            };
        });
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let now = Instant::now();
        let mut state = self.backoff.lock();
        state
            .pairs
            .change((self.user, self.address), now, Tries::end);
        if let Some(address) = self.address {
            state.addresses.change(address, now, Tries::end);
        }
    }
}

/// What was tried.
#[derive(Debug, Clone, Copy, Default)]
struct Tries {
    failures: u32,
    /// Tries whose outcome is not known yet.
    pending: u32,
    /// Before this there is no next try.
    until: Option<Instant>,
    last: Option<Instant>,
}

impl Tries {
    /// How long to wait; zero where a try is free.
    fn wait(&self, free: u32, now: Instant) -> Duration {
        let left = self.until.map(|until| until.saturating_duration_since(now));
        let left = left.unwrap_or_default();
        // One at a time where none is free.
        let at_once = free.saturating_sub(self.failures).max(1);
        if left.is_zero() && self.pending >= at_once {
            return WAIT_MIN;
        }
        left
    }

    fn begin(&mut self) {
        self.pending = self.pending.saturating_add(1);
    }

    fn end(&mut self) {
        self.pending = self.pending.saturating_sub(1);
    }

    fn fail(&mut self, free: u32, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        self.last = Some(now);
        if let Some(doublings) = self.failures.checked_sub(free) {
            let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
            self.until = Some(now + WAIT_MIN.saturating_mul(factor).min(WAIT_MAX));
        }
    }

    fn forget(&mut self, now: Instant) {
        let ended = |last: Instant| now.saturating_duration_since(last) >= MEMORY;
        if self.last.is_some_and(ended) {
            *self = Self {
                pending: self.pending,
                ..Self::default()
            };
        }
    }
}

/// Tries by key, as many as there is room for.
struct Records<K>(Cache<K, Tries, UnitWeighter, RandomState>);

impl<K: Hash + Eq + Copy> Records<K> {
    fn new() -> Self {
        Self(Cache::with(
            RECORDS_MAX,
            RECORDS_MAX as u64,
            UnitWeighter,
            RandomState::new(),
            DefaultLifecycle::default(),
        ))
    }

    fn get(&mut self, key: K, now: Instant) -> Tries {
        let mut tries = self.0.get(&key).copied().unwrap_or_default();
        tries.forget(now);
        tries
    }

    fn change(&mut self, key: K, now: Instant, change: impl FnOnce(&mut Tries)) {
        let mut tries = self.get(key, now);
        change(&mut tries);
        if tries.failures == 0 && tries.pending == 0 {
            self.0.remove(&key);
        } else {
            self.0.insert(key, tries);
        }
    }
}

#[cfg(test)]
mod tests;
