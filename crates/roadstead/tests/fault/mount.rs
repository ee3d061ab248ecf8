//! Small file systems of a test's own.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system under a registry's data directory. Dropped, it is unmounted: declare it before
/// the registry.
pub(crate) struct Mounted {
    at: PathBuf,
}

/// Runs a program, which must succeed.
pub(crate) fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

impl Mounted {
    /// Memory with these options of tmpfs.
    pub(crate) fn tmpfs(at: PathBuf, options: &str) -> Self {
        std::fs::create_dir(&at).unwrap();
        let options = format!("{options},mode=750");
        run(
            "mount",
            &["-t", "tmpfs", "-o", &options, "tmpfs", text(&at)],
        );
        Self { at }
    }

    /// ext4 on a file beside it, without room that only root may use; an error makes it read-only.
    pub(crate) fn ext4(at: PathBuf, bytes: u64) -> Self {
        Self::ext4_of_blocks(at, bytes, 4096)
    }

    /// The same with blocks of another size.
    pub(crate) fn ext4_of_blocks(at: PathBuf, bytes: u64, block: u32) -> Self {
        std::fs::create_dir(&at).unwrap();
        let image = at.with_extension("ext4");
        let file = std::fs::File::create(&image).unwrap();
        file.set_len(bytes).unwrap();
        let block = block.to_string();
        let options = ["-q", "-m", "0", "-b", &block, "-F", text(&image)];
        run("mkfs.ext4", &options);
        let options = "loop,errors=remount-ro";
        run("mount", &["-o", options, text(&image), text(&at)]);
        run("chmod", &["750", text(&at)]);
        Self { at }
    }

    /// Bytes that can still be written.
    pub(crate) fn free_bytes(&self) -> u64 {
        let space = rustix::fs::statvfs(&self.at).unwrap();
        space.f_bavail * space.f_frsize
    }

    /// As if the kernel had found an error on it.
    pub(crate) fn break_ext4(&self) {
        let device = std::fs::read_to_string("/proc/self/mounts").unwrap();
        let line = device
            .lines()
            .find(|line| line.split(' ').nth(1) == Some(text(&self.at)))
            .unwrap();
        let device = line.split(' ').next().unwrap().trim_start_matches("/dev/");
        std::fs::write(format!("/sys/fs/ext4/{device}/trigger_fs_error"), "1").unwrap();
    }

    /// Fills it to the last byte but `left`, and returns the file that does it.
    pub(crate) fn fill(&self, left: u64) -> PathBuf {
        let path = self.at.join("filler");
        let file = std::fs::File::create(&path).unwrap();
        let block = vec![1; 1024];
        let mut at = 0;
        while self.free_bytes() > left {
            match std::os::unix::fs::FileExt::write_all_at(&file, &block, at) {
                Ok(()) => at += block.len() as u64,
                Err(_) => break,
            }
            if at.is_multiple_of(1 << 20) {
                file.sync_all().unwrap();
            }
        }
        drop(file.sync_all());
        path
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let umount = |options: &[&str]| {
            let status = Command::new("umount").args(options).arg(&self.at).output();
            status.is_ok_and(|output| output.status.success())
        };
        if !umount(&[]) {
            umount(&["-l"]);
        }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
