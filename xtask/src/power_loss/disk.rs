//! Disks that are files: one that logs every write, and mounts of any.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::command;
use crate::registry::{stop_by_force, terminate};
use crate::tools;

const START_LIMIT: Duration = Duration::from_secs(30);
const UNMOUNT_LIMIT: Duration = Duration::from_secs(20);

/// A kind of file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum FileSystem {
    Ext4,
    Xfs,
}

impl FileSystem {
    pub(super) const ALL: [Self; 2] = [Self::Ext4, Self::Xfs];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
        }
    }

    pub(super) fn program(self) -> &'static str {
        match self {
            Self::Ext4 => "mkfs.ext4",
            Self::Xfs => "mkfs.xfs",
        }
    }

    /// Makes an empty file system in a new sparse file.
    pub(super) fn make(self, image: &Path) -> Result<()> {
        // xfs takes nothing below 300 MiB; and the large upload must have room to come twice.
        let (size_bytes, options): (u64, &[&str]) = match self {
            Self::Ext4 => (
                320 << 20,
                &["-q", "-E", "lazy_itable_init=0,lazy_journal_init=0"],
            ),
            Self::Xfs => (320 << 20, &["-q"]),
        };
        File::create(image)?.set_len(size_bytes)?;
        let program = tools::find(self.program()).context("no mkfs for it")?;
        command::capture(Command::new(program).args(options).arg(image))?;
        Ok(())
    }
}

/// A mounted image; dropped, it is unmounted.
pub(super) struct Mounted {
    at: PathBuf,
}

impl Mounted {
    /// Mounts an image through a loop device.
    pub(super) fn new(kind: FileSystem, image: &Path, at: &Path) -> Result<Self> {
        // Copies of one xfs have one identity, and several are mounted at a time.
        let options = match kind {
            FileSystem::Ext4 => "loop,noatime",
            FileSystem::Xfs => "loop,noatime,nouuid",
        };
        std::fs::create_dir_all(at)?;
        command::capture(
            Command::new("mount")
                .args(["-t", kind.name(), "-o", options])
                .args([image, at]),
        )?;
        Ok(Self { at: at.to_owned() })
    }

    /// The registry's root directory on it.
    pub(super) fn data(&self) -> PathBuf {
        self.at.join("data")
    }

    /// Unmounts it.
    pub(super) fn unmount(self) -> Result<()> {
        let at = self.at.clone();
        std::mem::forget(self);
        unmount(&at)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = unmount(&self.at);
    }
}

/// A process that has just ended may hold its files for a moment still.
fn unmount(at: &Path) -> Result<()> {
    let mut said = String::new();
    let done = command::until(UNMOUNT_LIMIT, || {
        let output = command::attempt(Command::new("umount").arg(at))?;
        said = output.stderr;
        Ok(output.status.success())
    })?;
    ensure!(done, "cannot unmount {}: {}", at.display(), said.trim());
    Ok(())
}

/// A disk whose every write and flush is logged.
pub(super) struct LoggedDisk {
    daemon: Child,
    export: PathBuf,
}

impl LoggedDisk {
    /// Puts the disk `image` behind a log; both files are on the host.
    pub(super) fn start(daemon: &Path, image: &Path, log: &Path, folder: &Path) -> Result<Self> {
        let export = folder.join("disk");
        File::create(&export)?;
        File::create(log)?;
        let said = folder.join("disk.log");
        let file = |node: &str, path: &Path| {
            format!("driver=file,node-name={node},filename={}", path.display())
        };
        // It must not outlive this process, however that ends: it would hold everything here.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(daemon)
            .args(["--blockdev", &file("image", image)])
            .args(["--blockdev", &file("log", log)])
            .args([
                "--blockdev",
                "driver=blklogwrites,node-name=logged,file=image,log=log,log-super-update-interval=1",
            ])
            .arg("--export")
            .arg(format!(
                "type=fuse,id=export,node-name=logged,writable=on,mountpoint={}",
                export.display()
            ))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&said)?)
            .spawn()
            .with_context(|| format!("cannot start {}", daemon.display()))?;
        let mut disk = Self {
            daemon: child,
            export,
        };
        let length = std::fs::metadata(image)?.len();
        let mut ended = None;
        let there = command::until(START_LIMIT, || {
            ended = disk.daemon.try_wait()?;
            let exported = std::fs::metadata(&disk.export).is_ok_and(|file| file.len() == length);
            Ok(ended.is_some() || exported)
        })?;
        if !there || ended.is_some() {
            let said = std::fs::read_to_string(said).unwrap_or_default();
            bail!(
                "qemu-storage-daemon does not export the disk: {}",
                said.trim()
            );
        }
        Ok(disk)
    }

    /// The file that is the disk.
    pub(super) fn path(&self) -> &Path {
        &self.export
    }

    /// Takes the disk away; nothing may be mounted on it.
    pub(super) fn stop(mut self) -> Result<()> {
        terminate(&self.daemon)?;
        let ended = command::wait(&mut self.daemon, START_LIMIT)?;
        ensure!(
            ended.is_some_and(|status| status.success()),
            "qemu-storage-daemon ended with {ended:?}"
        );
        Ok(())
    }
}

impl Drop for LoggedDisk {
    fn drop(&mut self) {
        stop_by_force(&mut self.daemon);
    }
}
