//! Licences, bans, sources and advisories of dependencies, by `cargo deny` and `deny.toml`.
//!
//! The advisory database lives on the network. Where it cannot be had the table of minimum
//! versions in `tidy/lockfile.rs` stands in for it, which is said in a line and is not a skip.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::report::Report;
use crate::{command, test, tools};

const VERSION: &str = "0.20.2";
/// How long the advisory database may take to arrive.
const FETCH_LIMIT: Duration = Duration::from_secs(60);

/// Checks the dependencies.
///
/// # Errors
/// Where a rule of `deny.toml` is broken.
pub(crate) fn run(report: &mut Report) -> Result<()> {
    let program = match provide() {
        Ok(program) => program,
        Err(error) => return report.skip("cargo-deny", &format!("{error:#}")),
    };
    command::show(deny(&program).args(["check", "licenses", "bans", "sources"]))?;
    if fetch_advisories(&program) {
        command::show(deny(&program).args(["check", "--disable-fetch", "advisories"]))?;
    } else {
        println!(
            "    advisory database out of reach: the minimum versions that tidy checks stand in"
        );
    }
    Ok(())
}

/// Whether the advisory database is here and of today.
fn fetch_advisories(program: &Path) -> bool {
    let fetched = command::attempt_within(FETCH_LIMIT, deny(program).args(["fetch", "db"]));
    fetched.is_ok_and(|output| output.status.success())
}

/// Builds the pinned version once. Without optimisation: that is three times faster to build,
/// and a check takes a second either way.
fn provide() -> Result<PathBuf> {
    let root = test::root()
        .join(".tools")
        .join(format!("cargo-deny-{VERSION}"));
    let program = root.join("bin/cargo-deny");
    if !program.is_file() {
        println!("    building cargo-deny {VERSION}");
        let mut install = test::cargo();
        install.args([
            "install",
            "cargo-deny",
            "--locked",
            "--debug",
            "--version",
            VERSION,
        ]);
        command::capture_within(
            tools::INSTALL_DEADLINE,
            install
                .arg("--root")
                .arg(&root)
                .env_remove("CARGO_TARGET_DIR"),
        )?;
    }
    Ok(program)
}

fn deny(program: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .arg("--manifest-path")
        .arg(test::root().join("Cargo.toml"));
    command
        .args(["--log-level", "error"])
        .env("GIT_TERMINAL_PROMPT", "0");
    command
}
