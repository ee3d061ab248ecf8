//! `roadstead robot`: robot accounts and their keys.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use roadstead_auth::{ApiKey, check_robot_name};
use roadstead_metadata::{AccountChange, AccountKind, AccountRow, NewAccount, PasswordHash};

use super::timestamp::{End, end, minute};
use super::{account, user::among};

const KIND: AccountKind = AccountKind::Robot;
/// Bytes of a description, at most.
const DESCRIPTION_BYTES_MAX: usize = 1_024;

/// What can be done with robot accounts.
#[derive(Debug, Subcommand)]
pub(crate) enum RobotCommand {
    /// Create a robot, and print its key.
    ///
    /// The key is printed once, alone on a line of standard output, and cannot be shown again. The
    /// robot logs in with its name as the user name and the key as the password.
    Create {
        #[command(flatten)]
        robot: Named,
        /// A group that the robot is in; may be given more than once.
        #[arg(long = "group", value_name = "GROUP")]
        groups: Vec<String>,
        /// For how long it may come in: 90d, 12h, 30m, or never.
        #[arg(long, value_name = "TIME", default_value = "never", value_parser = end)]
        expires: End,
        /// What it is for.
        #[arg(long, value_name = "TEXT", default_value = "")]
        description: String,
    },
    /// List the robots.
    List {
        /// The configuration file of the registry.
        config: PathBuf,
    },
    /// Take a robot's key back: the robot is removed.
    Revoke {
        #[command(flatten)]
        robot: Named,
    },
    /// Give a robot another key, and print it. The old one is worth nothing from then on.
    Rotate {
        #[command(flatten)]
        robot: Named,
    },
    /// Set until when a robot may come in, counted from now.
    Expire {
        #[command(flatten)]
        robot: Named,
        /// For how long it may still come in: 90d, 12h, 30m, or never for no end.
        #[arg(value_name = "TIME", value_parser = end)]
        expires: End,
    },
    /// Set the groups that a robot is in: exactly those that are given.
    Groups {
        #[command(flatten)]
        robot: Named,
        /// A group that the robot is in from now on; may be given more than once.
        #[arg(long = "group", value_name = "GROUP")]
        groups: Vec<String>,
    },
}

/// Which robot of which registry.
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// The configuration file of the registry.
    config: PathBuf,
    /// The robot's name: small letters and digits, with single . _ or - between them.
    name: String,
}

/// Does it.
///
/// # Errors
/// Whatever keeps it from being done; nothing was changed then.
pub(crate) fn run(command: RobotCommand) -> anyhow::Result<()> {
    match command {
        RobotCommand::Create {
            robot,
            groups,
            expires,
            description,
        } => create(&robot, groups, expires, description),
        RobotCommand::List { config } => account::list(&config, KIND),
        RobotCommand::Revoke { robot } => {
            account::remove(&robot.config, KIND, &robot.name)?;
            eprintln!("robot {} is removed, its key is worth nothing", robot.name);
            Ok(())
        }
        RobotCommand::Rotate { robot } => {
            let key = new_key()?;
            robot.change(AccountChange {
                id: Some(key.id().to_owned()),
                hash: Some(PasswordHash::new(key.hash())),
                ..AccountChange::default()
            })?;
            let name = &robot.name;
            eprintln!("robot {name} has another key, which is shown only now:");
            print(&key)
        }
        RobotCommand::Expire { robot, expires } => {
            let row = robot.change(AccountChange {
                expires_at: Some(at(expires)),
                ..AccountChange::default()
            })?;
            eprintln!("robot {} {}", robot.name, until(&row));
            Ok(())
        }
        RobotCommand::Groups { robot, groups } => {
            let row = robot.change(AccountChange {
                groups: Some(account::groups(groups)?),
                ..AccountChange::default()
            })?;
            eprintln!("robot {} is in {}", robot.name, among(&row.groups));
            Ok(())
        }
    }
}

fn create(
    robot: &Named,
    groups: Vec<String>,
    expires: End,
    description: String,
) -> anyhow::Result<()> {
    let name = &robot.name;
    check_robot_name(name).with_context(|| format!("the robot {name:?}"))?;
    if description.len() > DESCRIPTION_BYTES_MAX || description.chars().any(char::is_control) {
        bail!(
            "a description has at most {DESCRIPTION_BYTES_MAX} bytes, and no line's end or other \
             control character"
        );
    }
    let key = new_key()?;
    let new = NewAccount {
        kind: KIND,
        name: name.clone(),
        id: key.id().to_owned(),
        hash: PasswordHash::new(key.hash()),
        groups: account::groups(groups)?,
        description,
        expires_at: at(expires),
        origin: account::operator(),
    };
    let in_groups = among(&new.groups);
    let mut store = account::open(&robot.config)?;
    if !store.create(new)? {
        bail!("there is a robot called {name:?} already");
    }
    let row = store.find(KIND, name)?;
    drop(store);
    let until = row.as_ref().map(until).unwrap_or_default();
    eprintln!("robot {name} is created, in {in_groups}; it {until}");
    eprintln!("it logs in as {name} with this key, which is shown only now:");
    print(&key)
}

impl Named {
    fn change(&self, change: AccountChange) -> anyhow::Result<AccountRow> {
        account::change(&self.config, KIND, &self.name, change)
    }
}

fn new_key() -> anyhow::Result<ApiKey> {
    ApiKey::generate().context("there are no random numbers for a key")
}

/// Shows a key, the only time that it is shown.
fn print(key: &ApiKey) -> anyhow::Result<()> {
    let line = format!("{}\n", key.expose());
    let mut stdout = std::io::stdout().lock();
    let written = stdout
        .write_all(line.as_bytes())
        .and_then(|()| stdout.flush());
    written.context("the key could not be written, and is lost: rotate it to get another one")
}

fn at(expires: End) -> Option<roadstead_metadata::Timestamp> {
    match expires {
        End::Never => None,
        End::After(span) => Some(account::now().plus(span)),
    }
}

fn until(row: &AccountRow) -> String {
    match row.expires_at {
        Some(end) => format!("may come in until {}", minute(end)),
        None => "may come in without an end".to_owned(),
    }
}
