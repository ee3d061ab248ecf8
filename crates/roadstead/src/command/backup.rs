//! `roadstead backup`: copies what a registry has, while it serves or not.

use std::path::Path;
use std::process::ExitCode;

use roadstead_registry::backup;

use crate::process;

/// Makes a backup, and says what is in it.
///
/// # Errors
/// Whatever keeps a whole backup from being made.
pub(crate) fn run(config: &Path, directory: &Path) -> anyhow::Result<ExitCode> {
    let place = super::place(config)?;
    process::keep_files_private();
    let made = backup::back_up(&place, directory)?;
    println!(
        "backed up to {}: {} objects of {} bytes, {} of them new ({} bytes)",
        directory.display(),
        made.objects,
        made.bytes,
        made.copied,
        made.copied_bytes
    );
    if made.known_missing > 0 {
        println!(
            "{} objects are not in it, which the registry knows to be missing",
            made.known_missing
        );
    }
    if made.lost.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    super::name_lost(&made.lost);
    eprintln!(
        "roadstead: {} objects are not in the backup: a registry that is made of it knows them as \
         missing until they are pushed again",
        made.lost.len()
    );
    Ok(ExitCode::from(super::NOT_WHOLE))
}
