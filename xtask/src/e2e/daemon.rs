//! A client that is a daemon: started below the scenario's folder, ended with the scenario.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::command;
use crate::registry::{stop_by_force, terminate};

const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// A daemon, ended when dropped.
pub(super) struct Daemon {
    name: String,
    child: Child,
}

impl Daemon {
    /// Starts a daemon that logs to a file, and waits until a question to it succeeds.
    ///
    /// # Errors
    /// Where it does not answer within 60 s; the error carries the end of its log.
    pub(super) fn start(
        mut command: Command,
        log: PathBuf,
        question: impl Fn() -> Result<Command>,
    ) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let file = File::create(&log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let mut daemon = Self { name, child };
        let answers = command::until(START_LIMIT, || {
            let ended = daemon.child.try_wait()?.is_some();
            Ok(ended || command::attempt(&mut question()?)?.status.success())
        })?;
        if !answers || daemon.child.try_wait()?.is_some() {
            let log = std::fs::read_to_string(&log)?;
            bail!("{} does not answer:\n{}", daemon.name, command::tail(&log));
        }
        Ok(daemon)
    }

    /// Ends it.
    ///
    /// # Errors
    /// Where it does not end within 30 s.
    pub(super) fn stop(mut self) -> Result<()> {
        terminate(&self.child)?;
        if command::wait(&mut self.child, STOP_LIMIT)?.is_none() {
            let limit = STOP_LIMIT.as_secs();
            bail!("{} did not end within {limit} s", self.name);
        }
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // A polite end first: only then does a daemon take with it what it started itself.
        if let Ok(None) = self.child.try_wait()
            && terminate(&self.child).is_ok()
        {
            let _ = command::wait(&mut self.child, STOP_LIMIT);
        }
        stop_by_force(&mut self.child);
    }
}
