//! Roadstead, an OCI registry: the command line.
//!
//! Read `command/` for what can be asked, `config/mod.rs` for what can be set, and `wire.rs` for
//! how the parts of the registry are put together.

mod command;
mod config;
mod logging;
mod process;
mod socket;
mod startup_lines;
mod wire;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// An OCI registry: it keeps container images and other artifacts, and hands them out again.
///
/// Without a command it serves, as `roadstead serve` does: with no configuration file on
/// 127.0.0.1:5000, with its data in ./roadstead-data.
#[derive(Debug, Parser)]
#[command(name = "roadstead", version, about, long_about)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until SIGTERM or SIGINT. [default]
    ///
    /// Reads the configuration (YAML, the format of distribution's registry), applies the
    /// REGISTRY_… environment variables to it, and serves. Everything that is wrong with the
    /// configuration is named with its place, and nothing is started then. `roadstead check`
    /// shows what a configuration comes to.
    ///
    /// On SIGTERM or SIGINT it takes no new connections, lets the requests in flight end
    /// (http.draintimeout, 10s where that is not set), and exits with 0. A second signal ends it
    /// at once.
    Serve {
        /// The configuration file. Without it: the file that REGISTRY_CONFIGURATION_PATH names,
        /// else 127.0.0.1:5000 with data in ./roadstead-data, deletes allowed and no login.
        config: Option<PathBuf>,
    },
    /// Check a configuration and print what it comes to.
    ///
    /// Reads the file and the REGISTRY_… environment variables as the server would, names
    /// everything that is wrong with its place, and prints the effective configuration as YAML,
    /// defaults filled in and secrets masked. Exits with 1 if the server would not start.
    Check {
        /// The configuration file. Without it: the file that REGISTRY_CONFIGURATION_PATH names,
        /// else the built-in configuration.
        config: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    #[cfg(feature = "failpoints")]
    if let Err(error) = roadstead_failpoint::arm() {
        eprintln!("roadstead: {error}");
        return ExitCode::FAILURE;
    }
    let command = Arguments::parse()
        .command
        .unwrap_or(Command::Serve { config: None });
    let result = match command {
        Command::Serve { config } => command::serve::run(config),
        Command::Check { config } => command::check::run(config).map(|()| ExitCode::SUCCESS),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            // The whole chain in one line; a configuration has one line a problem.
            for line in format!("{error:#}").lines() {
                eprintln!("roadstead: {line}");
            }
            ExitCode::FAILURE
        }
    }
}
