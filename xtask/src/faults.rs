//! The suite of faults in its long form: every error of every system call on the way of a push, until
//! a push passes unharmed. `cargo test` takes a sample of it.

use anyhow::Result;

use crate::report::Report;
use crate::tools::Tools;
use crate::{command, test};

/// Runs it, alone on the machine: tracing makes everything slow.
///
/// # Errors
/// Where a test fails, or a program is missing.
pub(crate) fn run(report: &mut Report) -> Result<()> {
    provide(report)?;
    report.step("faults", |_| {
        let words = ["test", "--package", "roadstead", "--test", "fault"];
        command::show(test::cargo().args(words).env("ROADSTEAD_FAULTS", "all"))
    })
}

/// Installs what the suite traces with.
///
/// # Errors
/// Under CI, where it cannot be had.
pub(crate) fn provide(report: &mut Report) -> Result<()> {
    let tools = Tools::provide(&["strace"]);
    match tools.path("strace") {
        Ok(_) => Ok(()),
        Err(reason) => report.skip("faults of system calls", &reason),
    }
}
