//! The kill suite, in a build of its own with the failure points.

use anyhow::Result;

use crate::report::Report;
use crate::{command, test};

/// Cycles of the short run that is a step of `cargo xtask test`: each point has its turn once.
pub(crate) const SHORT: u32 = 60;

/// Runs the suite with so many kills.
///
/// # Errors
/// What the suite found.
pub(crate) fn run(report: &mut Report, cycles: u32, seed: u64) -> Result<()> {
    report.step("kill suite", |_| {
        let words = "test --package roadstead --features failpoints --test kill -- --nocapture";
        command::show(
            test::cargo()
                .args(words.split(' '))
                .env("ROADSTEAD_KILL_CYCLES", cycles.to_string())
                .env("ROADSTEAD_KILL_SEED", seed.to_string()),
        )?;
        // The points are for this suite alone: the ordinary binary is put back in their place.
        command::show(test::cargo().args(["build", "--package", "roadstead"]))
    })
}
