//! Developer commands, started as `cargo xtask <command>`.
//!
//! `test` is the one that counts: it runs everything that CI runs, in order, and stops at the
//! first failure. The other commands run one part of it. Nothing here is shipped.
//!
//! Read first: `test.rs` (the order of steps) and `e2e/mod.rs` (how a real client is driven).

mod bench;
mod command;
mod conformance;
mod deny;
mod e2e;
mod faults;
mod http;
mod image;
mod kill;
mod power_loss;
mod registry;
mod report;
mod test;
mod tidy;
mod tools;
mod users;

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
    /// Measure Roadstead beside nginx and distribution, and print ratios
    #[command(disable_help_flag = true)]
    Bench {
        /// Arguments of the bench program; `--help` lists them
        #[arg(
            value_name = "ARGUMENT",
            trailing_var_arg = true,
            allow_hyphen_values = true
        )]
        arguments: Vec<String>,
    },
    /// Kill the registry again and again while clients work, and compare what is left
    Kill {
        /// How many times
        #[arg(long, value_name = "N", default_value_t = 1_000)]
        cycles: u32,
        /// Which choices are made; printed by the run that is to be repeated
        #[arg(long, value_name = "N", default_value_t = 1)]
        seed: u64,
    },
    /// Run the official conformance suite of the OCI distribution specification
    Conformance {
        /// Registry binary to test; built from this tree where not given
        #[arg(long, value_name = "FILE")]
        binary: Option<PathBuf>,
    },
    /// Cut the power at many moments, and see that everything acknowledged is there
    PowerLoss(power_loss::Options),
    /// The part of it that needs a mount namespace of its own
    #[command(hide = true)]
    PowerLossApart(power_loss::Options),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Command::PowerLossApart(options) = &arguments.command {
        // Part of another run, whose report it is.
        return match power_loss::run_apart(options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                println!("    {error:#}");
                ExitCode::FAILURE
            }
        };
    }
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
        Command::Bench { arguments } => bench::run(report, &arguments),
        Command::Kill { cycles, seed } => kill::run(report, cycles, seed),
        Command::Conformance { binary } => conformance::run(report, binary),
        Command::PowerLoss(options) => power_loss::run(report, &options),
        Command::PowerLossApart(options) => power_loss::run_apart(&options),
    }
}
