//! `roadstead user`: local users and their passwords.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use roadstead_auth::{ApiKey, check_user_name, hash_password};
use roadstead_metadata::{AccountChange, AccountKind, NewAccount, PasswordHash};

use super::{account, password};

const KIND: AccountKind = AccountKind::User;

/// What can be done with local users.
#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Add a user, and ask for the password.
    Add {
        #[command(flatten)]
        user: Named,
        /// A group that the user is in; may be given more than once.
        #[arg(long = "group", value_name = "GROUP")]
        groups: Vec<String>,
        #[command(flatten)]
        password: Password,
    },
    /// List the users.
    List {
        /// The configuration file of the registry.
        config: PathBuf,
    },
    /// Set another password. The old one is worth nothing from then on.
    Passwd {
        #[command(flatten)]
        user: Named,
        #[command(flatten)]
        password: Password,
    },
    /// Set the groups that a user is in: exactly those that are given.
    Groups {
        #[command(flatten)]
        user: Named,
        /// A group that the user is in from now on; may be given more than once.
        #[arg(long = "group", value_name = "GROUP")]
        groups: Vec<String>,
    },
    /// Keep a user out until further notice.
    Disable {
        #[command(flatten)]
        user: Named,
    },
    /// Let a disabled user in again.
    Enable {
        #[command(flatten)]
        user: Named,
    },
    /// Remove a user.
    Remove {
        #[command(flatten)]
        user: Named,
    },
}

/// Which user of which registry.
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// The configuration file of the registry.
    config: PathBuf,
    /// The user's name.
    name: String,
}

/// Where a password comes from.
#[derive(Debug, Args)]
pub(crate) struct Password {
    /// Read the password from standard input, up to its end; one line end there is not part of it.
    /// Without this option it is asked for at the terminal.
    #[arg(long)]
    password_stdin: bool,
}

/// Does it.
///
/// # Errors
/// Whatever keeps it from being done; nothing was changed then.
pub(crate) fn run(command: UserCommand) -> anyhow::Result<()> {
    match command {
        UserCommand::Add {
            user,
            groups,
            password,
        } => add(&user, groups, &password),
        UserCommand::List { config } => account::list(&config, KIND),
        UserCommand::Passwd { user, password } => {
            // Nobody types a password twice to hear that the name was wrong.
            account::need(&user.config, KIND, &user.name)?;
            let hash = Some(password.hash()?);
            user.change(AccountChange {
                hash,
                ..AccountChange::default()
            })?;
            eprintln!("user {} has another password", user.name);
            Ok(())
        }
        UserCommand::Groups { user, groups } => {
            let groups = Some(account::groups(groups)?);
            let row = user.change(AccountChange {
                groups,
                ..AccountChange::default()
            })?;
            eprintln!("user {} is in {}", user.name, among(&row.groups));
            Ok(())
        }
        UserCommand::Disable { user } => {
            user.disable(true)?;
            eprintln!("user {} is kept out", user.name);
            Ok(())
        }
        UserCommand::Enable { user } => {
            user.disable(false)?;
            eprintln!("user {} may come in", user.name);
            Ok(())
        }
        UserCommand::Remove { user } => {
            account::remove(&user.config, KIND, &user.name)?;
            eprintln!("user {} is removed", user.name);
            Ok(())
        }
    }
}

fn add(user: &Named, groups: Vec<String>, password: &Password) -> anyhow::Result<()> {
    let name = &user.name;
    check_user_name(name).with_context(|| format!("the user {name:?}"))?;
    let groups = account::groups(groups)?;
    let taken = || format!("there is a user called {name:?} already");
    if account::open(&user.config)?.find(KIND, name)?.is_some() {
        bail!("{}", taken());
    }
    let hash = password.hash()?;
    let new = NewAccount {
        kind: KIND,
        name: name.clone(),
        id: ApiKey::generate()
            .context("there are no random numbers for an id")?
            .id()
            .to_owned(),
        hash,
        groups,
        description: String::new(),
        expires_at: None,
        origin: account::operator(),
    };
    let in_groups = among(&new.groups);
    if !account::open(&user.config)?.create(new)? {
        bail!("{}", taken());
    }
    eprintln!("user {name} is added, in {in_groups}");
    Ok(())
}

impl Named {
    fn change(&self, change: AccountChange) -> anyhow::Result<roadstead_metadata::AccountRow> {
        account::change(&self.config, KIND, &self.name, change)
    }

    fn disable(&self, disabled: bool) -> anyhow::Result<()> {
        let change = AccountChange {
            disabled: Some(disabled),
            ..AccountChange::default()
        };
        self.change(change).map(drop)
    }
}

impl Password {
    fn hash(&self) -> anyhow::Result<PasswordHash> {
        let password = password::read(self.password_stdin)?;
        Ok(PasswordHash::new(hash_password(password.as_bytes())?))
    }
}

/// Groups in a sentence.
pub(super) fn among(groups: &[String]) -> String {
    match groups {
        [] => "no group".to_owned(),
        [one] => format!("the group {one}"),
        many => format!("the groups {}", many.join(", ")),
    }
}
