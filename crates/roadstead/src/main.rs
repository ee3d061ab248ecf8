//! Roadstead, an OCI registry: the command line.
//!
//! Read `command/` for what can be asked, `config/mod.rs` for what can be set, and `wire.rs` for
//! how the parts of the registry are put together.

mod certificates;
mod command;
mod config;
mod encryption;
mod logging;
mod parts;
mod process;
mod reload;
mod socket;
mod startup_lines;
mod wire;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use roadstead_registry::backup::Restore;

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
    /// Ask what the configuration says about access.
    #[command(subcommand)]
    Auth(Auth),
    /// Copy everything that a registry has to a directory, while it serves or not.
    ///
    /// What was acknowledged before the command began is in the backup. Run it as the user that
    /// the registry runs as, or as root. DIR is made where it is not there; it must be empty or
    /// have an earlier backup, of which only what is new is copied. Nothing is taken away from it
    /// but the earlier copy of the database. Unfinished uploads are not part of a backup.
    ///
    /// DIR/backup.json is written last: without it there is no backup. A backup that is cut off
    /// leaves the earlier one whole, and the next run goes on with what is there.
    ///
    /// Exits with 0 if everything is in it; with 3 if the backup is made, but objects are missing
    /// or damaged in the registry, each of which is named; with 1 if no backup was made.
    Backup {
        /// The configuration file of the registry.
        config: PathBuf,
        /// The directory for the backup, which is not part of the data directory.
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
    /// Make a registry of a backup, in an empty data directory.
    ///
    /// Run it as the user that the registry is to run as, then start the registry. The backup is
    /// checked before anything is written: that it is whole, that its database is the one that
    /// was written, and that every object is there with its length. DIR is only read.
    ///
    /// Exits with 0 if everything is there; with 3 if it was restored, but objects are missing,
    /// each of which is unknown to clients until it is pushed again; with 1 if not restored.
    RestoreBackup {
        /// Read every object and compare its digest, too. Takes as long as reading all of them.
        #[arg(long)]
        verify: bool,
        /// Restore although objects of the backup are missing or damaged.
        #[arg(long)]
        force: bool,
        /// The directory with the backup.
        #[arg(value_name = "DIR")]
        directory: PathBuf,
        /// The configuration file of the registry to be. Its data directory must be empty or new.
        config: PathBuf,
    },
    /// Log in at a registry through the browser, and print what stands in for a password
    ///
    /// Shows an address and a code, waits until somebody confirms the code in a browser, on this
    /// machine or another, and prints a refresh token of the registry, alone on a line of standard
    /// output. It counts for 12 hours at most. Give it to a client as the password of the user oidc:
    ///
    ///   roadstead login r.example --issuer https://idp.example --client-id roadstead |
    ///     docker login -u oidc --password-stdin r.example
    ///
    /// Exits with 0 if somebody is logged in; with 3 if the login was denied, nobody confirmed it in
    /// time, or the registry does not take it; with 1 if it could not be tried.
    #[command(verbatim_doc_comment)]
    Login(command::login::Login),
    /// Local users: people who log in with a password that this registry keeps a hash of.
    ///
    /// Works while the registry serves, which takes a change at once, and while it does not. Run it
    /// as the user that the registry runs as, or as root. Start a new registry once before: that
    /// makes its database. Which users may do what is a matter of the section `access`.
    User {
        #[command(subcommand)]
        command: command::user::UserCommand,
    },
    /// Robot accounts: programs that log in with a key, which this registry keeps a hash of.
    ///
    /// Works as `roadstead user` does. A key is shown once, when it is made. Keys match
    /// rsd_[0-9A-Za-z]{61}, so that those that leak can be searched for.
    Robot {
        #[command(subcommand)]
        command: command::robot::RobotCommand,
    },
}

#[derive(Debug, Subcommand)]
enum Auth {
    /// Say whether somebody may do something, and which rule says so.
    ///
    /// Reads the configuration as the server would and asks its policy. Groups that a directory or
    /// an identity provider knows of are given with --group. Exits with 0 if it is allowed, with 3
    /// if it is denied, with 1 if there is no answer.
    Explain(command::explain::Explain),
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
        Command::Auth(Auth::Explain(explain)) => command::explain::run(explain),
        Command::Backup { config, directory } => command::backup::run(&config, &directory),
        Command::RestoreBackup {
            verify,
            force,
            directory,
            config,
        } => command::restore_backup::run(&directory, &config, Restore { verify, force }),
        Command::Login(login) => command::login::run(login),
        Command::User { command } => command::user::run(command).map(|()| ExitCode::SUCCESS),
        Command::Robot { command } => command::robot::run(command).map(|()| ExitCode::SUCCESS),
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
