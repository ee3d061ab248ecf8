//! Who orders: one replica at a time, so that an ACME server sees each order once.

use std::time::{Duration, SystemTime};

use super::Acme;
use super::records::{LEASE, Lease, seconds};
use super::store::AcmeStoreError;

/// How long it is held without a word. More than an order may take, and by more than clocks of
/// replicas may differ.
pub(super) const HOLD: Duration = Duration::from_secs(600);

impl Acme {
    /// Takes the lease, or prolongs it; false where another replica has it.
    pub(super) async fn take_lease(&self, now: SystemTime) -> Result<bool, AcmeStoreError> {
        let (lease, version) = self.load::<Lease>(LEASE).await?;
        let me = self.replica.to_string();
        if let Some(lease) = lease
            && lease.holder != me
            && lease.until > seconds(now)
            // A clock that was far ahead once must not keep everybody waiting.
            && lease.until <= seconds(now + HOLD * 2)
        {
            return Ok(false);
        }
        let mine = Lease {
            holder: me,
            until: seconds(now + HOLD),
        };
        self.swap(LEASE, &mine, version).await
    }

    /// Gives the lease back, so that others need not wait for its end.
    pub(super) async fn give_lease_back(&self) -> Result<(), AcmeStoreError> {
        let (lease, version) = self.load::<Lease>(LEASE).await?;
        let me = self.replica.to_string();
        if lease.is_some_and(|lease| lease.holder == me) {
            // Where somebody has taken it meanwhile, nothing is left to do.
            self.swap(LEASE, &Lease::default(), version).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{AcmeDirectory, AcmeSettings};
    use super::*;

    #[tokio::test]
    async fn one_replica_has_it_until_it_gives_it_back_or_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let replica = || {
            let settings = AcmeSettings {
                directory: String::new(),
                authorities: None,
                email: None,
                hosts: Vec::new(),
                over_http: false,
            };
            Acme::new(
                settings,
                Arc::new(AcmeDirectory::open(directory.path()).unwrap()),
            )
        };
        let (a, b) = (replica(), replica());
        let now = SystemTime::now();
        assert!(a.take_lease(now).await.unwrap());
        assert!(!b.take_lease(now).await.unwrap());
        b.give_lease_back().await.unwrap();
        assert!(!b.take_lease(now).await.unwrap());
        assert!(a.take_lease(now + HOLD / 2).await.unwrap());
        assert!(!b.take_lease(now + HOLD).await.unwrap());
        assert!(b.take_lease(now + HOLD * 2).await.unwrap());
        assert!(!a.take_lease(now + HOLD * 2).await.unwrap());
        b.give_lease_back().await.unwrap();
        assert!(a.take_lease(now).await.unwrap());
        // Left by a clock that was a year ahead.
        assert!(a.take_lease(now + HOLD * 50_000).await.unwrap());
        assert!(b.take_lease(now).await.unwrap());
    }
}
