//! Files that have changed come into force while connections are served.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::files::Stamps;
use super::{Identity, Shared, Tls, config};
use crate::error::chain;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Who reads the files again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    /// They look different.
    Changed,
    /// They look as they did when they could not be used.
    Still,
    /// Somebody asked for it.
    Asked,
}

impl Tls {
    /// Looks after the files until `stop`: what has changed is in force within seconds. Files that
    /// cannot be used leave what is in force as it is. Certificates of ACME are ordered and renewed.
    pub async fn watch(self, stop: CancellationToken) {
        let watching = self.watch_files(&stop);
        match &self.shared.settings.identity {
            Identity::Files { .. } => watching.await,
            Identity::Acme(acme) => {
                tokio::join!(watching, acme.run(stop.clone()));
            }
        }
    }

    async fn watch_files(&self, stop: &CancellationToken) {
        let mut failed = false;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            failed = self.look(failed).await;
        }
    }

    /// Reads the files again, whether they look different or not. Returns when what they say is in
    /// force, or [`Tls::problem`] says why not.
    pub async fn reload(&self) {
        self.read(Reason::Asked).await;
    }

    /// Whether what has changed could not be used and it is not certain yet that it is meant:
    /// between the new certificate and its new key the two do not fit each other.
    async fn look(&self, failed: bool) -> bool {
        let shared = Arc::clone(&self.shared);
        let stamps = tokio::task::spawn_blocking(move || Stamps::of(&shared.settings)).await;
        let Ok(stamps) = stamps else {
            return failed;
        };
        let same = {
            let last = self.shared.stamps.lock();
            *last.unwrap_or_else(PoisonError::into_inner) == stamps
        };
        match (same, failed) {
            (true, false) => false,
            (true, true) => {
                self.read(Reason::Still).await;
                false
            }
            (false, _) => !self.read(Reason::Changed).await,
        }
    }

    /// Whether what the files say is in force now.
    async fn read(&self, reason: Reason) -> bool {
        let _one = self.shared.reading.lock().await;
        let shared = Arc::clone(&self.shared);
        let read = tokio::task::spawn_blocking(move || {
            // Taken before: what changes meanwhile looks different the next time.
            let stamps = Stamps::of(&shared.settings);
            (stamps, config::build(&shared.settings))
        });
        let Ok((stamps, built)) = read.await else {
            return false;
        };
        *(self.shared.stamps.lock()).unwrap_or_else(PoisonError::into_inner) = stamps;
        match built {
            Ok(config) => {
                self.shared.config.store(Arc::new(config));
                self.shared.report(None);
                tracing::info!("the files of TLS were read again and hold for new connections");
                true
            }
            Err(error) => {
                if reason != Reason::Changed {
                    self.shared.report(Some(chain(&error)));
                }
                false
            }
        }
    }
}

impl Shared {
    /// Keeps why the files are not in force, and logs it where it is new.
    fn report(&self, problem: Option<String>) {
        let mut last = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(problem) = &problem
            && last.as_ref() != Some(problem)
        {
            tracing::error!(
                problem,
                "the files of TLS have changed and cannot be used: what was read before stays in force"
            );
        }
        *last = problem;
    }
}

#[cfg(test)]
mod tests;
