//! Roadstead, an OCI registry: the command line.
//!
//! Read `config/mod.rs` for what can be set and `command/` for what can be asked.

mod command;
mod config;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// An OCI registry: it keeps container images and other artifacts, and hands them out again.
#[derive(Debug, Parser)]
#[command(name = "roadstead", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check a configuration and print what it comes to.
    ///
    /// Reads the file and the REGISTRY_… environment variables as the server would, names
    /// everything that is wrong with its place, and prints the effective configuration as YAML,
    /// defaults filled in and secrets masked.
    Check {
        /// The configuration file (YAML). Without it: the file that REGISTRY_CONFIGURATION_PATH
        /// names, else the built-in configuration.
        config: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    let Command::Check { config } = Arguments::parse().command;
    match command::check::run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            for line in format!("{error:#}").lines() {
                eprintln!("roadstead: {line}");
            }
            ExitCode::FAILURE
        }
    }
}
