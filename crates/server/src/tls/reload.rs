//! Files that have changed come into force while connections are served.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::files::Stamps;
use super::{InForce, Shared, Tls, TlsError, TlsSettings, config};
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
        match self.acme() {
            None => watching.await,
            Some(acme) => {
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
        let stamps = tokio::task::spawn_blocking(move || Stamps::of(&shared.settings.load())).await;
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
            let settings = shared.settings.load_full();
            // Taken before: what changes meanwhile looks different the next time.
            let stamps = Stamps::of(&settings);
            let built = config::build(&settings);
            (settings, stamps, built)
        });
        let Ok((settings, stamps, built)) = read.await else {
            return false;
        };
        let (in_force, problem) = match built {
            Ok(in_force) => (Some(in_force), None),
            Err(error) => (None, Some(chain(&error))),
        };
        if !self.shared.take(&settings, stamps, in_force) {
            return false;
        }
        match problem {
            None => {
                self.shared.report(None);
                tracing::info!("the files of TLS were read again and hold for new connections");
                true
            }
            Some(problem) if reason != Reason::Changed => {
                self.shared.report(Some(problem));
                false
            }
            Some(_) => false,
        }
    }

    /// Makes other settings ready, which are in force from when what is returned is called. Whether
    /// HTTP/2 is offered stays as it was. Blocks while it reads.
    ///
    /// # Errors
    /// [`TlsError`]: nothing changes.
    pub fn prepare(&self, mut settings: TlsSettings) -> Result<Box<dyn FnOnce() + Send>, TlsError> {
        settings.http2 = self.shared.settings.load().http2;
        let stamps = Stamps::of(&settings);
        let in_force = config::build(&settings)?;
        let shared = Arc::clone(&self.shared);
        Ok(Box::new(move || {
            {
                let mut last = shared.stamps.lock().unwrap_or_else(PoisonError::into_inner);
                shared.settings.store(Arc::new(settings));
                shared.in_force.store(Arc::new(in_force));
                *last = stamps;
            }
            shared.report(None);
        }))
    }
}

impl Shared {
    /// Keeps how the files looked, and what came of them, where the settings that they were read by
    /// still hold.
    fn take(&self, settings: &Arc<TlsSettings>, stamps: Stamps, in_force: Option<InForce>) -> bool {
        let mut last = self.stamps.lock().unwrap_or_else(PoisonError::into_inner);
        let is_still = Arc::ptr_eq(settings, &self.settings.load());
        if is_still {
            *last = stamps;
            if let Some(in_force) = in_force {
                self.in_force.store(Arc::new(in_force));
            }
        }
        is_still
    }

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
