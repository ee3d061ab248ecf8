//! Developer commands, started as `cargo xtask <command>`.
//!
//! `test` is the one that counts: it runs everything that CI runs, in order, and stops at the
//! first failure. The other commands run one part of it. Nothing here is shipped.
//!
//! Read first: `test.rs` (the order of steps) and `e2e/mod.rs` (how a real client is driven).

mod command;
mod conformance;
mod deny;
mod e2e;
mod faults;
mod http;
mod image;
mod registry;
mod report;
mod test;
mod tidy;
mod tools;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::report::Report;

/// Developer commands of this repository.
#[derive(Parser)]
#[command(name = "cargo xtask", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run everything that CI runs: format, lints, tidy, tests, real clients, conformance
    Test,
    /// Check the rules of the source tree that the compiler cannot check
    Tidy,
    /// Make every system call of the write path fail, one after the other: the long form
    Faults,
    /// Drive real clients (docker, podman, skopeo, …) against the real binary
    E2e {
        /// Scenarios to run; all of them where none is named
        #[arg(value_name = "SCENARIO")]
        scenarios: Vec<String>,
        /// Registry binary to test; built from this tree where not given
        #[arg(long, value_name = "FILE")]
        binary: Option<PathBuf>,
    },
    /// Run the official conformance suite of the OCI distribution specification
    Conformance {
        /// Registry binary to test; built from this tree where not given
        #[arg(long, value_name = "FILE")]
        binary: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut report = Report::new();
    let outcome = run(arguments.command, &mut report);
    report.close(outcome)
}

fn run(command: Command, report: &mut Report) -> Result<()> {
    match command {
        Command::Test => test::run(report),
        Command::Tidy => report.step("tidy", |_| tidy::run(&test::root())),
        Command::Faults => faults::run(report),
        Command::E2e { scenarios, binary } => e2e::run(report, &scenarios, binary),
        Command::Conformance { binary } => conformance::run(report, binary),
    }
}
