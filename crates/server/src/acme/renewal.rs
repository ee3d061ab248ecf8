//! When a certificate is ordered, and how what one replica ordered comes to all.

use std::time::{Duration, SystemTime};

use tokio_util::sync::CancellationToken;

use super::Acme;
use super::certificates::Certified;
use super::host::AcmeHost;
use super::records::{self, HostRecord, seconds, time};
use super::store::AcmeStoreError;
use crate::error::chain;

/// How long at most until the store is looked at again for what other replicas have ordered.
const LOOK: Duration = Duration::from_secs(30);
/// The same where a certificate is missing, or due and not ordered: another replica does that, or
/// the store does not work.
const LOOK_SOON: Duration = Duration::from_secs(2);

/// For giving the lease back at the end.
const GIVE_BACK: Duration = Duration::from_secs(5);

/// How long nobody orders after the first failure, and by how much longer after each that follows:
/// Let's Encrypt allows five failures an hour for a name.
const BACK_OFF: Duration = Duration::from_secs(15);
const BACK_OFF_FACTOR: u32 = 4;
const BACK_OFF_MAX: Duration = Duration::from_secs(3600);

/// Characters of a reason that are kept: the ACME server wrote it.
const REASON_MAX: usize = 1_000;

/// A host, and what is in force for it.
struct Watched {
    host: AcmeHost,
    version: Option<u64>,
    certified: Option<Certified>,
    failures: u32,
    not_before: SystemTime,
    /// Whether the store could not be read the last time.
    is_unread: bool,
}

impl Acme {
    /// Looks after the certificates until `stop`.
    pub async fn run(&self, stop: CancellationToken) {
        let late = f64::from(uuid::Uuid::new_v4().as_fields().0) / f64::from(u32::MAX);
        let mut watched: Vec<Watched> = self.settings.hosts.iter().map(Watched::new).collect();
        loop {
            let round = self.round(&mut watched, late);
            let pause = tokio::select! {
                // An order that is broken off is found again by the next start.
                () = stop.cancelled() => break,
                pause = round => pause,
            };
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(pause) => {}
            }
        }
        // So that the next start, or another replica, need not wait for its end. A store that hangs
        // must not keep the registry from ending.
        let given_back = tokio::time::timeout(GIVE_BACK, self.end_lease());
        if given_back.await.is_err() {
            tracing::warn!("the lease of ACME could not be given back in time");
        }
    }

    /// Takes up what the store has, so that certificates of before are there at once.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn prepare(&self) -> Result<(), AcmeStoreError> {
        for host in &self.settings.hosts {
            self.take_up(&mut Watched::new(host)).await?;
        }
        Ok(())
    }

    /// Looks at all hosts once, orders what is due, and tells how long nothing will be.
    async fn round(&self, watched: &mut [Watched], late: f64) -> Duration {
        for host in watched.iter_mut() {
            self.look_at(host).await;
        }
        let now = SystemTime::now();
        let is_due = |host: &&Watched| host.due(late) <= now;
        let due: Vec<AcmeHost> = watched
            .iter()
            .filter(is_due)
            .map(|host| host.host.clone())
            .collect();
        if !due.is_empty() {
            match self.take_lease(now).await {
                Ok(true) => self.order_all(watched, late).await,
                Ok(false) => tracing::debug!("another replica orders certificates"),
                Err(error) => due
                    .iter()
                    .for_each(|host| self.complain(host, &chain(&error))),
            }
        }
        let now = SystemTime::now();
        let until = |host: &Watched| host.due(late).duration_since(now).unwrap_or_default();
        let next = watched.iter().map(until).min().unwrap_or(LOOK);
        let is_missing = watched.iter().any(|host| host.certified.is_none());
        match next {
            Duration::ZERO => LOOK_SOON,
            next if is_missing => next.min(LOOK_SOON),
            next => next.min(LOOK),
        }
    }

    /// Takes what the store has of a host, and tells where that does not work.
    async fn look_at(&self, watched: &mut Watched) -> bool {
        match self.take_up(watched).await {
            Ok(()) => {
                if std::mem::take(&mut watched.is_unread) && watched.failures == 0 {
                    self.set_problem(&watched.host, None);
                }
                true
            }
            Err(error) => {
                watched.is_unread = true;
                self.complain(&watched.host, &chain(&error));
                false
            }
        }
    }

    async fn order_all(&self, watched: &mut [Watched], late: f64) {
        for host in watched.iter_mut() {
            // Another replica may have just been done with it.
            let is_read = self.look_at(host).await;
            let now = SystemTime::now();
            if !is_read || host.due(late) > now {
                continue;
            }
            match self.take_lease(now).await {
                Ok(true) => self.renew(host).await,
                _ => return,
            }
        }
        self.end_lease().await;
    }

    async fn end_lease(&self) {
        if let Err(error) = self.give_lease_back().await {
            tracing::warn!(
                problem = chain(&error),
                "the lease of ACME could not be given back"
            );
        }
    }

    /// Takes what the store has of a host, where it is new.
    async fn take_up(&self, watched: &mut Watched) -> Result<(), AcmeStoreError> {
        let name = records::host(&watched.host);
        let (record, version) = self.load::<HostRecord>(&name).await?;
        if version == watched.version {
            return Ok(());
        }
        watched.version = version;
        let record = record.unwrap_or_default();
        watched.failures = record.failures;
        watched.not_before = time(record.not_before);
        // Another replica has logged it.
        let reason = record.reason.as_ref().filter(|_| record.failures > 0);
        self.set_problem(&watched.host, reason.map(|it| problem(&watched.host, it)));
        let Some(issued) = record.issued else {
            return Ok(());
        };
        match Certified::read(&issued, &watched.host) {
            Ok(certified) => {
                self.certificates.put(&watched.host, &certified);
                watched.certified = Some(certified);
            }
            // It is ordered anew; what was in force before stays.
            Err(error) => self.complain(&watched.host, &chain(&error)),
        }
        Ok(())
    }

    /// Orders a certificate, puts it into force and into the store.
    async fn renew(&self, watched: &mut Watched) {
        let host = watched.host.clone();
        tracing::info!(%host, "a certificate is ordered");
        let outcome = self.order(&host).await;
        let outcome = match outcome {
            Ok(issued) => match Certified::read(&issued, &host) {
                Ok(certified) => Ok((issued, certified)),
                Err(error) => Err((chain(&error), None)),
            },
            Err(error) => Err((chain(&error), error.kind().map(str::to_owned))),
        };
        let mut record = HostRecord::default();
        match outcome {
            Ok((issued, certified)) => {
                let until = httpdate::fmt_http_date(certified.not_after);
                tracing::info!(%host, until, "a certificate was issued");
                self.certificates.put(&host, &certified);
                self.set_problem(&host, None);
                watched.certified = Some(certified);
                watched.failures = 0;
                watched.not_before = SystemTime::UNIX_EPOCH;
                record.issued = Some(issued);
            }
            Err((reason, kind)) => {
                watched.failures = watched.failures.saturating_add(1);
                let pause = if kind.as_deref() == Some("rateLimited") {
                    BACK_OFF_MAX
                } else {
                    back_off(watched.failures)
                };
                watched.not_before = SystemTime::now() + pause;
                let plain = |c: char| if c.is_control() { ' ' } else { c };
                let reason: String = reason.chars().map(plain).take(REASON_MAX).collect();
                let wait = pause.as_secs();
                let reason = format!("{reason}; it was to be tried again after {wait} s");
                self.complain(&host, &reason);
                record.reason = Some(reason);
                record.failures = watched.failures;
                record.not_before = seconds(watched.not_before);
            }
        }
        if let Err(error) = self.keep(watched, record).await {
            self.complain(&host, &chain(&error));
        }
    }

    /// Stores what came of an order; a certificate of before stays where there is no new one.
    async fn keep(&self, watched: &mut Watched, mut new: HostRecord) -> Result<(), AcmeStoreError> {
        let name = records::host(&watched.host);
        self.change::<HostRecord>(&name, |record| {
            let issued = new.issued.take().or_else(|| record.issued.take());
            *record = HostRecord {
                issued: issued.clone(),
                failures: new.failures,
                reason: new.reason.clone(),
                not_before: new.not_before,
            };
            new.issued = issued;
        })
        .await
    }

    /// Reports what keeps a host from its certificate, and logs it where it is new.
    fn complain(&self, host: &AcmeHost, reason: &str) {
        if self.set_problem(host, Some(problem(host, reason))) {
            tracing::error!(%host, reason, "a certificate could not be had; the one of before stays");
        }
    }
}

fn problem(host: &AcmeHost, reason: &str) -> String {
    format!("no certificate for {host}: {reason}")
}

impl Watched {
    fn new(host: &AcmeHost) -> Self {
        Self {
            host: host.clone(),
            version: None,
            certified: None,
            failures: 0,
            not_before: SystemTime::UNIX_EPOCH,
            is_unread: false,
        }
    }

    /// When a certificate is to be ordered.
    fn due(&self, late: f64) -> SystemTime {
        let renewal = self.certified.as_ref().map(|it| it.renewal(late));
        renewal.map_or(self.not_before, |renewal| renewal.max(self.not_before))
    }
}

/// How long nobody orders after so many failures in a row.
fn back_off(failures: u32) -> Duration {
    let factor = BACK_OFF_FACTOR.saturating_pow(failures.saturating_sub(1));
    BACK_OFF.saturating_mul(factor).min(BACK_OFF_MAX)
}

#[cfg(test)]
mod tests;
