//! `roadstead restore-backup`: makes a registry of a backup, in an empty data directory.

use std::path::Path;
use std::process::ExitCode;

use roadstead_registry::backup::{self, BackupError, Restore};

use crate::process;

/// Restores, and says what is there now.
///
/// # Errors
/// Whatever is wrong with the backup or with the place that it is to go to.
pub(crate) fn run(directory: &Path, config: &Path, how: Restore) -> anyhow::Result<ExitCode> {
    let place = super::place(config)?;
    process::keep_files_private();
    let restored = backup::restore(directory, &place, how);
    if let Err(BackupError::Incomplete { lost }) = &restored {
        super::name_lost(lost);
    }
    let (contents, begun) = restored?;
    println!(
        "restored to {}: {} objects of {} bytes, as of {begun}",
        place.root.display(),
        contents.objects,
        contents.bytes
    );
    let missing = contents.known_missing + contents.lost.len() as u64;
    if missing == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    super::name_lost(&contents.lost);
    eprintln!("roadstead: {missing} objects are missing until they are pushed again");
    Ok(ExitCode::from(super::NOT_WHOLE))
}
