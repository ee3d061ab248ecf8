//! `roadstead check`: reads a configuration as `serve` would, and shows what came out.

use std::io::Write;
use std::path::PathBuf;

use crate::config;

/// Prints the effective configuration, and warnings and notes beside it.
///
/// # Errors
/// Whatever would stop the start, and an output that cannot be written.
pub(crate) fn run(path: Option<PathBuf>) -> anyhow::Result<()> {
    let variables = super::variables();
    let path = super::config_path(path, &variables);
    let loaded = config::load(path.as_deref(), &variables)?;
    for line in &loaded.warnings {
        eprintln!("warning: {line}");
    }
    for line in &loaded.notes {
        eprintln!("note: {line}");
    }
    std::io::stdout()
        .lock()
        .write_all(loaded.settings.to_yaml().as_bytes())?;
    Ok(())
}
