//! What a run says: one line before each step, one after it with its time, and a summary.
//!
//! A step that cannot run here is *skipped*, with its reason; where the environment says `CI=true`
//! a skip is a failure, so that CI can never go green on less than everything. Only what the
//! machine itself lacks may be left out there too.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Collects the outcome of steps and prints them as they happen.
pub(crate) struct Report {
    started: Instant,
    finished: Vec<(String, Duration)>,
    skipped: Vec<String>,
    ci: bool,
}

impl Report {
    /// Starts the clock; reads `CI` from the environment.
    pub(crate) fn new() -> Self {
        let ci = std::env::var("CI").is_ok_and(|value| value == "true" || value == "1");
        Self::with_ci(ci)
    }

    fn with_ci(ci: bool) -> Self {
        Self {
            started: Instant::now(),
            finished: Vec::new(),
            skipped: Vec::new(),
            ci,
        }
    }

    /// Runs one step, announced and timed.
    ///
    /// # Errors
    /// Those of the step, with its name put before them.
    pub(crate) fn step(
        &mut self,
        name: &str,
        work: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        println!("==> {name}");
        let begun = Instant::now();
        work(self).map_err(|error| error.context(format!("{name} failed")))?;
        let took = begun.elapsed();
        println!("    {name}: ok in {}", seconds(took));
        self.finished.push((name.to_owned(), took));
        Ok(())
    }

    /// Notes that something was left out.
    ///
    /// # Errors
    /// Always under CI, where nothing may be left out.
    pub(crate) fn skip(&mut self, what: &str, reason: &str) -> Result<()> {
        let line = format!("{what}: {reason}");
        println!("    skipped {line}");
        self.skipped.push(line.clone());
        if self.ci {
            bail!("CI may skip nothing, but skipped {line}");
        }
        Ok(())
    }

    /// Notes that this machine has not what a step needs and nobody can install, such as a kernel's
    /// file system. That is no failure anywhere: CI would have to run on another machine.
    pub(crate) fn lack(&mut self, what: &str, reason: &str) {
        println!("    skipped {what}: this machine cannot: {reason}");
        self.skipped.push(format!("{what}: {reason}"));
    }

    /// Prints the closing lines and turns the outcome into the exit code of the process.
    pub(crate) fn close(self, outcome: Result<()>) -> ExitCode {
        println!();
        for (name, took) in &self.finished {
            println!("{:>9}  {name}", seconds(*took));
        }
        for line in &self.skipped {
            println!("  skipped  {line}");
        }
        let total = seconds(self.started.elapsed());
        match outcome {
            Ok(()) => {
                println!("passed: {} skipped, {total}", self.skipped.len());
                ExitCode::SUCCESS
            }
            Err(error) => {
                println!("FAILED after {total}: {error:#}");
                ExitCode::FAILURE
            }
        }
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::Report;

    #[test]
    fn a_skip_is_a_failure_under_ci_only() {
        assert!(Report::with_ci(false).skip("docker", "not root").is_ok());
        assert!(Report::with_ci(true).skip("docker", "not root").is_err());
    }

    #[test]
    fn what_the_machine_lacks_is_no_failure_but_is_told() {
        let mut report = Report::with_ci(true);
        report.lack("power loss", "no loop devices");
        assert_eq!(report.skipped, ["power loss: no loop devices"]);
    }

    #[test]
    fn a_failed_step_names_itself() {
        let outcome = Report::with_ci(false).step("tidy", |_| anyhow::bail!("too long"));
        let text = outcome.map_err(|error| format!("{error:#}"));
        assert_eq!(text, Err("tidy failed: too long".to_owned()));
    }
}
