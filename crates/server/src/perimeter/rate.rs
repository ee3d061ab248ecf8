//! How many requests an address, a user, or an address of nobody in particular may make in a
//! second, and at a time.
//!
//! Requests a second are counted by the generic cell rate algorithm: of everybody one number is
//! kept, the time at which all that they have asked for would be paid off. Memory is bounded: where
//! more ask than there is room for, those that came once are forgotten before those that come often.

use std::collections::hash_map::RandomState;
use std::convert::Infallible;
use std::hash::{BuildHasher as _, Hash};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::Response;
use quick_cache::UnitWeighter;
use quick_cache::sync::{Cache, DefaultLifecycle};
use roadstead_auth::AddressBlock;

use crate::body::ResponseBody;

/// What one of a kind may do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limit {
    /// Requests a second, on average; 0 for no bound.
    pub requests: u32,
    /// Requests that may come at once after a pause; below 1 counts as 1.
    pub burst: u32,
    /// Requests that may be under way at a time, their answers included; 0 for no bound.
    pub concurrent: u32,
}

/// The limits of all kinds (`http.ratelimits`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RateSettings {
    /// Of an address, for requests without credentials.
    pub anonymous: Limit,
    /// Of a user, wherever they are.
    pub user: Limit,
    /// Of an address, whoever asks; counted before credentials are looked at.
    pub address: Limit,
}

impl Limit {
    fn is_none(&self) -> bool {
        self.requests == 0 && self.concurrent == 0
    }
}

/// The limits in force.
pub(crate) struct RateLimits {
    settings: RateSettings,
    /// Times are counted from here.
    began: Instant,
    anonymous: Limiter<Option<AddressBlock>>,
    user: Limiter<u64>,
    address: Limiter<Option<AddressBlock>>,
    /// Users are kept as keyed hashes of their names.
    names: RandomState,
}

impl RateLimits {
    /// `None` where nothing is limited.
    pub(crate) fn new(settings: &RateSettings) -> Option<Self> {
        let RateSettings {
            anonymous,
            user,
            address,
        } = *settings;
        if [anonymous, user, address].iter().all(Limit::is_none) {
            return None;
        }
        Some(Self {
            settings: *settings,
            began: Instant::now(),
            anonymous: Limiter::new(anonymous),
            user: Limiter::new(user),
            address: Limiter::new(address),
            names: RandomState::new(),
        })
    }

    pub(crate) fn settings(&self) -> &RateSettings {
        &self.settings
    }

    /// Counts a request for its address. Those without one count together.
    ///
    /// # Errors
    /// When it is worth while to try again.
    pub(crate) fn check_address(
        &self,
        address: Option<IpAddr>,
        now: Instant,
    ) -> Result<Permit, Duration> {
        self.address
            .take(address.map(AddressBlock::of), self.at(now))
    }

    /// Counts a request for whoever makes it: `None` is nobody in particular, from this address.
    ///
    /// # Errors
    /// When it is worth while to try again.
    pub(crate) fn check_subject(
        &self,
        address: Option<IpAddr>,
        principal: Option<&str>,
        now: Instant,
    ) -> Result<Permit, Duration> {
        let now = self.at(now);
        match principal {
            Some(name) => self.user.take(self.names.hash_one(name), now),
            None => self.anonymous.take(address.map(AddressBlock::of), now),
        }
    }

    /// Nanoseconds since the beginning: enough for five hundred years.
    fn at(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.began).as_nanos();
        u64::try_from(since).unwrap_or(u64::MAX)
    }
}

/// Permission for one request, given back when it is dropped.
#[must_use]
#[derive(Debug)]
pub(crate) struct Permit(Option<Arc<Bucket>>);

impl Permit {
    /// Of a request that is not limited.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// Keeps it for as long as the answer is on its way.
    pub(crate) fn hold(self, answer: &mut Response<ResponseBody>) {
        if let Some(permit) = self.shared() {
            answer.extensions_mut().insert(permit);
        }
    }

    /// What is left to hold, if anything: most requests are not limited.
    pub(crate) fn shared(self) -> Option<Arc<Self>> {
        self.0.is_some().then(|| Arc::new(self))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(bucket) = &self.0 {
            bucket.active.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// One kind.
struct Limiter<K> {
    limit: Limit,
    buckets: Cache<K, Arc<Bucket>, UnitWeighter, RandomState>,
}

/// One of a kind.
#[derive(Debug, Default)]
struct Bucket {
    /// When all that was asked for is paid off, in nanoseconds.
    paid_at: AtomicU64,
    /// Requests under way.
    active: AtomicU32,
}

/// Buckets of each kind at most, some hundred bytes each.
const BUCKETS_MAX: usize = 1 << 16;
const SECOND_NANOS: u64 = 1_000_000_000;
/// When a place among those under way may be free.
const ONE_OF_THEM: Duration = Duration::from_secs(1);

impl<K: Hash + Eq + Copy> Limiter<K> {
    fn new(limit: Limit) -> Self {
        // One that is not used takes no room.
        let items = if limit.is_none() { 1 } else { BUCKETS_MAX };
        Self {
            limit,
            buckets: Cache::with(
                items,
                items as u64,
                UnitWeighter,
                RandomState::new(),
                DefaultLifecycle::default(),
            ),
        }
    }

    fn take(&self, key: K, now: u64) -> Result<Permit, Duration> {
        if self.limit.is_none() {
            return Ok(Permit::none());
        }
        let made = self
            .buckets
            .get_or_insert_with(&key, || Ok::<_, Infallible>(Arc::default()));
        let bucket = match made {
            Ok(bucket) => bucket,
            Err(never) => match never {},
        };
        let active = bucket.active.fetch_add(1, Ordering::AcqRel);
        let permit = Permit(Some(Arc::clone(&bucket)));
        if self.limit.concurrent > 0 && active >= self.limit.concurrent {
            return Err(ONE_OF_THEM);
        }
        bucket.pay(&self.limit, now)?;
        Ok(permit)
    }
}

impl Bucket {
    fn pay(&self, limit: &Limit, now: u64) -> Result<(), Duration> {
        if limit.requests == 0 {
            return Ok(());
        }
        let price = (SECOND_NANOS / u64::from(limit.requests)).max(1);
        let credit = price.saturating_mul(u64::from(limit.burst.max(1)));
        let mut wait = Duration::ZERO;
        let pay = |paid_at: u64| {
            let next = paid_at.max(now).saturating_add(price);
            let beyond = (next - now)
                .checked_sub(credit)
                .filter(|beyond| *beyond > 0);
            wait = Duration::from_nanos(beyond.unwrap_or(0));
            beyond.is_none().then_some(next)
        };
        let paid = self
            .paid_at
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, pay);
        paid.map(|_| ()).map_err(|_| wait)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn limits(address: Limit, anonymous: Limit, user: Limit) -> RateLimits {
        let settings = RateSettings {
            anonymous,
            user,
            address,
        };
        RateLimits::new(&settings).unwrap()
    }

    fn rate(requests: u32, burst: u32) -> Limit {
        Limit {
            requests,
            burst,
            concurrent: 0,
        }
    }

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn nothing_is_limited_by_default() {
        assert!(RateLimits::new(&RateSettings::default()).is_none());
    }

    #[test]
    fn a_burst_is_free_and_then_there_is_one_at_a_time() {
        let limits = limits(rate(2, 3), Limit::default(), Limit::default());
        let (here, now) = (ip("192.0.2.1"), Instant::now());
        let check = |now| limits.check_address(here, now).map(drop);
        for _ in 0..3 {
            check(now).unwrap();
        }
        assert_eq!(check(now), Err(SECOND / 2));
        // To be refused costs nothing.
        assert_eq!(check(now + SECOND / 4), Err(SECOND / 4));
        check(now + SECOND / 2).unwrap();
        assert!(check(now + SECOND / 2).is_err());
        // After a pause there is a burst again, and no more than that.
        for _ in 0..3 {
            check(now + SECOND * 100).unwrap();
        }
        assert!(check(now + SECOND * 100).is_err());
        assert!(limits.check_address(ip("192.0.2.2"), now).is_ok());
    }

    #[test]
    fn each_kind_has_its_own_count() {
        let limits = limits(Limit::default(), rate(1, 1), rate(1, 2));
        let now = Instant::now();
        let check = |address, principal| limits.check_subject(ip(address), principal, now).is_ok();
        assert!(check("2001:db8::1", None));
        assert!(
            !check("2001:db8::2", None),
            "an address of IPv6 is its network"
        );
        assert!(check("2001:db8:0:1::1", None));
        // A user is one wherever they are.
        assert!(check("192.0.2.1", Some("alice")));
        assert!(check("192.0.2.2", Some("alice")));
        assert!(!check("192.0.2.3", Some("alice")));
        assert!(check("192.0.2.3", Some("bob")));
        for _ in 0..100 {
            assert!(limits.check_address(ip("192.0.2.1"), now).is_ok());
        }
        // Those without an address are one.
        assert!(limits.check_subject(None, None, now).is_ok());
        assert!(limits.check_subject(None, None, now).is_err());
    }

    #[test]
    fn a_place_is_free_again_when_the_answer_is_gone() {
        let at_once = Limit {
            concurrent: 2,
            ..Limit::default()
        };
        let limits = limits(at_once, Limit::default(), Limit::default());
        let (here, now) = (ip("192.0.2.1"), Instant::now());
        let check = || limits.check_address(here, now);
        let (first, second) = (check().unwrap(), check().unwrap());
        assert_eq!(check().err(), Some(ONE_OF_THEM));
        assert!(check().is_err(), "to be refused takes no place");
        drop(first);
        let third = check().unwrap();
        let mut answer = Response::new(ResponseBody::empty());
        third.hold(&mut answer);
        assert!(check().is_err());
        drop((answer, second));
        assert!(check().is_ok());
    }

    #[test]
    fn memory_is_bounded_and_the_busiest_stay_limited() {
        let limits = limits(rate(1, 1), Limit::default(), Limit::default());
        let (busy, now) = (ip("192.0.2.1"), Instant::now());
        assert!(limits.check_address(busy, now).is_ok());
        for number in 0..2 * BUCKETS_MAX as u128 {
            let address = IpAddr::from((number << 64).to_be_bytes());
            assert!(limits.check_address(Some(address), now).is_ok());
            if number % 1_000 == 0 {
                assert!(limits.check_address(busy, now).is_err(), "{number}");
            }
        }
        assert!(limits.address.buckets.len() <= BUCKETS_MAX);
    }

    proptest! {
        /// However requests are spread, no more pass than the burst and what the time gives.
        #[test]
        fn no_more_pass_than_were_earned(
            requests in 1_u32..1_000,
            burst in 0_u32..100,
            pauses in prop::collection::vec(0_u64..50_000_000, 1..200),
        ) {
            let limits = limits(rate(requests, burst), Limit::default(), Limit::default());
            let start = Instant::now();
            let (mut now, mut passed) = (start, 0_u64);
            for pause in pauses {
                now += Duration::from_nanos(pause);
                match limits.check_address(None, now) {
                    Ok(_permit) => passed += 1,
                    Err(wait) => {
                        prop_assert!(!wait.is_zero());
                        let later = limits.check_address(None, now + wait);
                        prop_assert!(later.is_ok(), "{wait:?} was not enough");
                        now += wait;
                        passed += 1;
                    }
                }
            }
            let earned = (now - start).as_nanos() as u64 * u64::from(requests) / SECOND_NANOS;
            // A price is a whole number of nanoseconds.
            let slack = earned / 1_000_000 + 1;
            prop_assert!(passed <= earned + u64::from(burst.max(1)) + slack);
        }
    }
}
