//! A new configuration for a registry that serves.
//!
//! SIGHUP reads the configuration again. What can change while requests are served are the
//! [`Part`]s: each first makes ready what it needs, and only when all are ready they change
//! together. Whatever is wrong leaves everything as it was, with one line in the log and an entry
//! on the health page. Keys that no part applies need a restart, and are named.
//!
//! Parts with files look at them every [`LOOK`], too.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use roadstead_server::Audit;
use tokio::sync::Notify;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::config::{self, Settings, Values};

/// Something that can change while requests are served.
pub(crate) trait Part: Send + Sync {
    /// What it is called on the health page and in the log.
    fn name(&self) -> &'static str;

    /// The keys that it applies, each with all that is below it.
    fn keys(&self) -> &'static [&'static str] {
        &[]
    }

    /// Makes ready what these settings ask for. Nothing changes before what is returned is called,
    /// which happens where all parts are ready, or never. May block.
    ///
    /// # Errors
    /// What the settings ask for cannot be had: all stays as it was.
    fn prepare(&self, settings: &Settings) -> anyhow::Result<Change> {
        let _ = settings;
        Ok(Box::new(|| {}))
    }

    /// Looks whether its files have changed, and reads them again. May block. What is wrong with
    /// them is logged once and remembered for `problem`; those of before stay in force.
    fn look(&self) {}

    /// Reads its files again at once, changed or not: somebody asked for it. May block.
    fn look_now(&self) {
        self.look();
    }

    /// What is wrong with its files at present, for the health page, and so without paths.
    fn problem(&self) -> Option<String> {
        None
    }
}

/// Brings what was prepared into force.
pub(crate) type Change = Box<dyn FnOnce() + Send>;

/// Reads the configuration again and has the parts apply it.
pub(crate) struct Reloader {
    path: Option<PathBuf>,
    variables: BTreeMap<String, String>,
    /// What the process was started with: keys that no part applies are compared with it.
    started: Values,
    parts: Vec<Box<dyn Part>>,
    audit: Option<Arc<Audit>>,
    state: Mutex<State>,
}

struct State {
    /// What is in force, those keys apart that need a restart.
    current: Values,
    warnings: Vec<String>,
    failed: bool,
}

/// Between two looks at files.
const LOOK: Duration = Duration::from_secs(2);

/// Where the health page tells of the configuration file.
const CONFIGURATION: &str = "configuration";
const NOT_IN_FORCE: &str = "the configuration as it is now cannot be used, and the one of before \
                            stays in force; the registry's log says why";

impl Reloader {
    /// For a process that was started with these settings from this file (`None`: the built-in
    /// configuration) and these variables.
    pub(crate) fn new(
        path: Option<PathBuf>,
        variables: BTreeMap<String, String>,
        settings: &Settings,
        warnings: Vec<String>,
    ) -> Self {
        let started = settings.values();
        Self {
            path,
            variables,
            started: started.clone(),
            parts: Vec::new(),
            audit: None,
            state: Mutex::new(State {
                current: started,
                warnings,
                failed: false,
            }),
        }
    }

    /// Has this part take part.
    pub(crate) fn with(mut self, part: impl Part + 'static) -> Self {
        self.parts.push(Box::new(part));
        self
    }

    /// The same, where there is one.
    pub(crate) fn with_any(self, part: Option<impl Part + 'static>) -> Self {
        match part {
            Some(part) => self.with(part),
            None => self,
        }
    }

    /// Has this file opened anew, too: whoever rotates it sends the signal.
    pub(crate) fn reopening(mut self, audit: Option<Arc<Audit>>) -> Self {
        self.audit = audit;
        self
    }

    /// Reloads whenever it is notified, and looks at files in between, until `stop`.
    pub(crate) async fn run(self: Arc<Self>, hangup: Arc<Notify>, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let told = tokio::select! {
                () = stop.cancelled() => return,
                () = hangup.notified() => true,
                _ = ticks.tick() => false,
            };
            if told && let Some(audit) = &self.audit {
                audit.reopen().await;
            }
            let this = Arc::clone(&self);
            let done = tokio::task::spawn_blocking(move || {
                for part in &this.parts {
                    if told { part.look_now() } else { part.look() }
                }
                if told {
                    this.reload();
                }
            });
            // A disk may hang, and nothing waits for it at the end.
            let done = tokio::select! {
                () = stop.cancelled() => return,
                done = done => done,
            };
            if let Err(error) = done {
                tracing::error!(%error, "the configuration was not read to its end");
            }
        }
    }

    /// What is wrong at present, by name.
    pub(crate) fn problems(&self) -> Vec<(String, String)> {
        let failed = self.state().failed;
        let configuration = failed.then(|| (CONFIGURATION.to_owned(), NOT_IN_FORCE.to_owned()));
        let of_parts = self
            .parts
            .iter()
            .filter_map(|part| Some((part.name().to_owned(), part.problem()?)));
        configuration.into_iter().chain(of_parts).collect()
    }

    /// Blocks while it reads.
    fn reload(&self) {
        match self.try_reload() {
            Ok(()) => self.state().failed = false,
            Err(error) => {
                // The whole chain in one line, however many problems the file has.
                let problem = format!("{error:#}").replace('\n', "; ");
                tracing::error!(
                    problem,
                    "the new configuration cannot be used; the one of before stays in force"
                );
                self.state().failed = true;
            }
        }
    }

    fn try_reload(&self) -> anyhow::Result<()> {
        let loaded = config::load(self.path.as_deref(), &self.variables)?;
        let mut changes = Vec::new();
        let mut applied = Vec::new();
        for part in &self.parts {
            let change = part.prepare(&loaded.settings);
            changes.push(change.with_context(|| part.name())?);
            applied.extend_from_slice(part.keys());
        }
        for change in changes {
            change();
        }
        let values = loaded.settings.values();
        let mut state = self.state();
        let current = std::mem::replace(&mut state.current, values.clone());
        let warnings = std::mem::replace(&mut state.warnings, loaded.warnings.clone());
        drop(state);
        for line in loaded
            .warnings
            .iter()
            .filter(|line| !warnings.contains(line))
        {
            tracing::warn!("{line}");
        }
        let waiting = self.started.changed(&values, &applied);
        let changed = current.changed(&values, &waiting);
        tracing::info!(
            changed = changed.join(", "),
            "the configuration was read again and is in force"
        );
        if !waiting.is_empty() {
            let keys = waiting.join(", ");
            tracing::warn!(keys, "these keys have other values that need a restart");
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whatever panicked under the lock left nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
