//! Everything that CI runs, in order: the cheap checks first, real clients and conformance last.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::report::Report;
use crate::tools::Tools;
use crate::{command, conformance, deny, e2e, faults, kill, power_loss, tidy};

/// Runs every step; stops at the first that fails.
///
/// # Errors
/// Those of the step that failed.
pub(crate) fn run(report: &mut Report) -> Result<()> {
    report.step("format", |_| {
        command::show(cargo().args(["fmt", "--all", "--check"]))
    })?;
    report.step("clippy", |_| {
        let lints = [
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ];
        command::show(cargo().args(lints))
    })?;
    report.step("tidy", |_| tidy::run(&root()))?;
    report.step("dependencies", deny::run)?;
    report.step("clippy with failure points", |_| {
        let words = "clippy --package roadstead --package roadstead-failpoint \
                     --features roadstead/failpoints --all-targets -- -D warnings";
        command::show(cargo().args(words.split_whitespace()))
    })?;
    // Tests set clocks with the one, stand behind two, get certificates from the next and ask the
    // last. Where they cannot be had, they say so.
    Tools::provide(&["faketime", "nginx", "haproxy", "pebble", "openssl", "slapd"]);
    faults::provide(report)?;
    report.step("tests", |_| {
        command::show(cargo().args(["test", "--workspace"]))
    })?;
    report.step("tests of the failure points", |_| {
        let words = "test --package roadstead-failpoint --features armed";
        command::show(cargo().args(words.split(' ')))
    })?;
    kill::run(report, kill::SHORT, 1)?;
    power_loss::run(report, &power_loss::Options::short())?;
    e2e::run(report, &[], None)?;
    conformance::run(report, None)
}

/// A `cargo` that works on this tree.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_owned()
}

/// Where cargo puts what it builds.
pub(crate) fn target_directory() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(directory) => root().join(directory),
        None => root().join("target"),
    }
}
