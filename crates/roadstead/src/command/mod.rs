//! The command line: one file a subcommand.

pub(crate) mod check;
pub(crate) mod serve;

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::config::PATH_VARIABLE;

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
