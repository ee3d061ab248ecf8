//! What stands between the network and the interface: whose word on a client counts, how often
//! anybody may ask, and what is put on record. All of it can change while requests are served.

pub(crate) mod client;
pub(crate) mod forwarded;
pub(crate) mod proxy_protocol;
mod rate;

use std::sync::Arc;
use std::time::Instant;

use arc_swap::{ArcSwap, ArcSwapOption};
use http::StatusCode;
use http::header::RETRY_AFTER;
use roadstead_oci::{ErrorCode, PrincipalName};

use crate::audit::Audit;
use crate::error::Failure;
use client::Client;
pub use client::Proxies;
pub(crate) use rate::Permit;
use rate::RateLimits;
pub use rate::{Limit, RateSettings};

/// Proxies, limits and record of one registry. Shared by its server and whoever changes them.
#[derive(Default)]
pub struct Perimeter {
    proxies: ArcSwap<Proxies>,
    rates: ArcSwapOption<RateLimits>,
    audit: Option<Arc<Audit>>,
}

impl Perimeter {
    /// No proxy is trusted and nothing is limited.
    #[must_use]
    pub fn new(audit: Option<Arc<Audit>>) -> Self {
        Self {
            audit,
            ..Self::default()
        }
    }

    /// Whose word counts from now on; for connections that are yet to come.
    pub fn trust(&self, proxies: Proxies) {
        self.proxies.store(Arc::new(proxies));
    }

    /// What everybody may do from now on. Where anything changes, everybody starts anew.
    pub fn limit(&self, settings: &RateSettings) {
        let same = |rates: &Arc<RateLimits>| rates.settings() == settings;
        if self.rates.load().as_ref().is_some_and(same) {
            return;
        }
        self.rates.store(RateLimits::new(settings).map(Arc::new));
    }

    pub(crate) fn proxies(&self) -> Arc<Proxies> {
        self.proxies.load_full()
    }

    pub(crate) fn audit(&self) -> Option<&Arc<Audit>> {
        self.audit.as_ref()
    }

    /// Counts a request for its address, before it is known who asks.
    ///
    /// # Errors
    /// 429 with the time to wait.
    pub(crate) fn admit_address(&self, client: &Client) -> Result<Permit, Failure> {
        let Some(rates) = &*self.rates.load() else {
            return Ok(Permit::none());
        };
        rates
            .check_address(client.ip, Instant::now())
            .map_err(|wait| too_many("too many requests from this address", wait))
    }

    /// Counts a request for whoever asks; anonymous ones for their address.
    ///
    /// # Errors
    /// 429 with the time to wait.
    pub(crate) fn admit(&self, client: &Client, name: &PrincipalName) -> Result<Permit, Failure> {
        let Some(rates) = &*self.rates.load() else {
            return Ok(Permit::none());
        };
        let anonymous = *name == PrincipalName::anonymous();
        let principal = (!anonymous).then(|| name.as_str());
        rates
            .check_subject(client.ip, principal, Instant::now())
            .map_err(|wait| too_many("too many requests", wait))
    }
}

/// 429 with a whole number of seconds, at least one.
fn too_many(what: &str, wait: std::time::Duration) -> Failure {
    let seconds = wait.as_millis().div_ceil(1_000).max(1);
    Failure::new(StatusCode::TOO_MANY_REQUESTS, ErrorCode::TooManyRequests)
        .message(format!("{what}; try again in {seconds} s"))
        .header(RETRY_AFTER, &seconds.to_string())
}
