//! The command line: one file a subcommand.

pub(crate) mod account;
pub(crate) mod backup;
pub(crate) mod check;
pub(crate) mod explain;
pub(crate) mod login;
mod password;
pub(crate) mod restore_backup;
pub(crate) mod robot;
pub(crate) mod serve;
mod timestamp;
pub(crate) mod user;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use roadstead_registry::backup::{Lost, Place};

use crate::config::{self, Driver, PATH_VARIABLE};

/// The environment, as far as it is text.
pub(crate) fn variables() -> BTreeMap<String, String> {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        (
            name.to_string_lossy().into_owned(),
            value.to_string_lossy().into_owned(),
        )
    };
    std::env::vars_os().map(text).collect()
}

/// The file of the command line, else the one that the environment names.
pub(crate) fn config_path(
    argument: Option<PathBuf>,
    variables: &BTreeMap<String, String>,
) -> Option<PathBuf> {
    let named = || variables.get(PATH_VARIABLE).filter(|path| !path.is_empty());
    argument.or_else(|| named().map(PathBuf::from))
}

/// Where a registry of this configuration keeps what it has.
///
/// # Errors
/// A configuration that cannot be used, or that keeps everything in memory.
fn place(config: &Path) -> anyhow::Result<Place> {
    let loaded = config::load(Some(config), &variables())?;
    match loaded.settings.storage.driver {
        Driver::Filesystem { root, database, .. } => Ok(Place { root, database }),
        Driver::InMemory => anyhow::bail!(
            "storage.inmemory keeps everything in the memory of the process that serves, where no \
             other command can get at it"
        ),
    }
}

/// Names objects, the first of many.
fn name_lost(lost: &[Lost]) {
    for object in lost.iter().take(NAMED_MAX) {
        eprintln!("roadstead: {}: {}", object.digest, object.reason);
    }
    if let Some(more) = lost.len().checked_sub(NAMED_MAX).filter(|more| *more > 0) {
        eprintln!("roadstead: and {more} more");
    }
}

/// Objects that are named one by one.
const NAMED_MAX: usize = 1_000;

/// What a command ends with that did what it could, though not all, or whose answer is no.
const NOT_WHOLE: u8 = 3;
