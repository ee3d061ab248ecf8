//! Whether the registry can be used, as its own look at its stores says.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use roadstead_registry::{Condition, Registry};
use serde_json::{Map, Value};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// The outcome of the checks. Healthy until one fails.
#[derive(Default)]
pub struct Health {
    failing: AtomicBool,
    problem: Mutex<Option<Problem>>,
    /// What else there is to tell, by name.
    tellers: Mutex<Vec<Teller>>,
    /// Whose disk is told of beside the checks.
    registry: Option<Arc<Registry>>,
}

#[derive(Debug, Clone, Copy)]
struct Problem {
    check: &'static str,
    said: &'static str,
}

/// Tells what is wrong at present, by name.
type Teller = Box<dyn Fn() -> Vec<(String, String)> + Send + Sync>;

/// How long a look at the stores may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);

impl Health {
    /// Healthy.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Healthy, and tells how this registry's disk is, checks or no checks.
    #[must_use]
    pub fn of(registry: Arc<Registry>) -> Self {
        Self {
            registry: Some(registry),
            ..Self::default()
        }
    }

    /// Has the report tell what `teller` says is wrong at present, by name. Those are warnings:
    /// requests are answered.
    pub fn tell(&self, teller: impl Fn() -> Vec<(String, String)> + Send + Sync + 'static) {
        let mut tellers = self.tellers.lock().unwrap_or_else(PoisonError::into_inner);
        tellers.push(Box::new(teller));
    }

    /// Looks at the stores every `interval` until `stop`; after `threshold` failures in a row the
    /// registry counts as unhealthy, after one success as healthy. `check` is the name of the
    /// check in answers.
    pub async fn watch(
        self: Arc<Self>,
        registry: Arc<Registry>,
        check: &'static str,
        interval: Duration,
        threshold: u32,
        stop: CancellationToken,
    ) {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failures = 0_u32;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            // A disk that hangs is no better than one that fails.
            let error = match tokio::time::timeout(PROBE_TIMEOUT, registry.probe()).await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(crate::error::chain(&error)),
                Err(_) => Some("the store does not answer".to_owned()),
            };
            self.count(check, &mut failures, threshold, error);
        }
    }

    /// Takes the outcome of one look: the error, if there was one.
    fn count(
        &self,
        check: &'static str,
        failures: &mut u32,
        threshold: u32,
        error: Option<String>,
    ) {
        let Some(error) = error else {
            *failures = 0;
            self.set(None);
            return;
        };
        *failures = failures.saturating_add(1);
        tracing::error!(check, failures, error, "a health check failed");
        if *failures >= threshold {
            // The cause may name paths, which are for the log alone.
            let said = "the store does not work; the registry's log says why";
            self.set(Some(Problem { check, said }));
        }
    }

    /// Unhealthy, as by a check that failed.
    #[cfg(test)]
    pub(crate) fn fail(&self, check: &'static str) {
        self.count(check, &mut 0, 1, Some("it was told to".to_owned()));
    }

    fn set(&self, problem: Option<Problem>) {
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = problem;
        let failing = problem.is_some();
        if self.failing.swap(failing, Ordering::AcqRel) != failing {
            if failing {
                tracing::error!("the registry is unhealthy and answers 503");
            } else {
                tracing::info!("the registry is healthy again");
            }
        }
    }

    /// Whether requests are refused.
    pub(crate) fn failing(&self) -> bool {
        self.failing.load(Ordering::Acquire)
    }

    /// What `/debug/health` shows: whether all is well enough, and by name what is not. A full disk
    /// is a warning, since what is there is served; one that cannot be written to is more, although
    /// requests are answered as far as they can be.
    pub(crate) fn report(&self) -> (bool, Value) {
        let problem = *self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        let disk = self.registry.as_ref().map(|registry| registry.disk());
        let said = disk.and_then(said_of);
        let mut entries = Map::new();
        let tellers = self.tellers.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, problem) in tellers.iter().flat_map(|teller| teller()) {
            entries.insert(name, Value::from(problem));
        }
        drop(tellers);
        if let Some(problem) = problem {
            entries.insert(problem.check.to_owned(), Value::from(problem.said));
        }
        if let Some(said) = said {
            entries.insert("disk".to_owned(), Value::from(said));
        }
        let usable = !matches!(disk, Some(Condition::ReadOnly | Condition::Failing));
        (usable && !self.failing(), Value::Object(entries))
    }
}

fn said_of(disk: Condition) -> Option<&'static str> {
    match disk {
        Condition::Works => None,
        Condition::Full => Some("full: pushes are refused, reads and deletes go on"),
        Condition::ReadOnly => Some("read-only: pushes and deletes fail, reads go on"),
        Condition::Failing => Some("failing: a write to it or a read of it did not succeed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_the_threshold_to_fail_and_one_success_to_heal() {
        let health = Health::new();
        let mut failures = 0;
        let mut look = |error: Option<&str>| {
            health.count("store", &mut failures, 3, error.map(ToOwned::to_owned));
            let (well, report) = health.report();
            assert_eq!(well, !health.failing());
            (health.failing(), report.to_string())
        };
        let broken = Some("cannot read /secret/path");
        for error in [None, broken, broken, None, broken, broken] {
            assert_eq!(look(error), (false, "{}".to_owned()));
        }
        for _ in 0..2 {
            let (failing, report) = look(broken);
            assert!(failing && report.starts_with("{\"store\":\""), "{report}");
            assert!(!report.contains("secret"), "{report}");
        }
        assert_eq!(look(None), (false, "{}".to_owned()));
    }

    #[test]
    fn what_others_tell_is_a_warning() {
        let health = Health::new();
        health.tell(Vec::new);
        health.tell(|| vec![("htpasswd".to_owned(), "it is broken".to_owned())]);
        let (well, report) = health.report();
        assert!(well && !health.failing());
        assert_eq!(report.to_string(), "{\"htpasswd\":\"it is broken\"}");
    }
}
