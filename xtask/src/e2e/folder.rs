//! The folder of a scenario, and what clients that run without root leave in it that would keep
//! it from being removed.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Where podman is told to keep what does not outlive it.
pub(super) const PODMAN_RUN: &str = "podman-tmp";
/// A podman without root leaves a process behind that holds its user namespace, and its id here.
const PAUSE: &str = "pause.pid";
const OWNER_ALL: u32 = 0o700;

/// A temporary folder, removed when dropped, with the process that podman left in it.
pub(super) struct Folder(TempDir);

impl Folder {
    /// Makes an empty folder.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(tempfile::tempdir()?))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Nobody is left to tell of an error: what cannot be cleared away stays in the system's
        // own temporary folder.
        if let Some(pid) = left_by_podman(self.path()) {
            let _ = kill_process(pid, Signal::KILL);
        }
        let _ = make_removable(self.path());
    }
}

fn left_by_podman(folder: &Path) -> Option<Pid> {
    let text = std::fs::read_to_string(folder.join(PODMAN_RUN).join(PAUSE)).ok()?;
    let id: i32 = text.trim().parse().ok()?;
    // Zero and below would name groups of processes.
    (id > 1).then(|| Pid::from_raw(id)).flatten()
}

/// Gives the owner all rights on folders: the clients' storage has some that forbid writing,
/// which only root may empty.
fn make_removable(folder: &Path) -> io::Result<()> {
    let metadata = std::fs::symlink_metadata(folder)?;
    if !metadata.is_dir() {
        return Ok(());
    }
    let mut permissions = metadata.permissions();
    if permissions.mode() & OWNER_ALL != OWNER_ALL {
        permissions.set_mode(permissions.mode() | OWNER_ALL);
        std::fs::set_permissions(folder, permissions)?;
    }
    for entry in std::fs::read_dir(folder)? {
        make_removable(&entry?.path())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_forbids_writing_is_removed() {
        let folder = Folder::new().unwrap();
        let path = folder.path().to_owned();
        let inner = path.join("storage/layer");
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::write(inner.join("file"), "x").unwrap();
        std::fs::set_permissions(&inner, PermissionsExt::from_mode(0o555)).unwrap();
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn only_a_process_is_taken_for_what_podman_left() {
        let folder = Folder::new().unwrap();
        assert_eq!(left_by_podman(folder.path()), None);
        std::fs::create_dir(folder.path().join(PODMAN_RUN)).unwrap();
        let file = folder.path().join(PODMAN_RUN).join(PAUSE);
        for text in ["", "-1", "0", "1", "x"] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(left_by_podman(folder.path()), None, "{text}");
        }
    }
}
