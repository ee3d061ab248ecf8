//! Power loss: everything that was acknowledged must be there on every disk that a power cut may
//! leave behind, on ext4 and on xfs.
//!
//! The real binary works on a disk that logs every write and flush (a file that
//! `qemu-storage-daemon` exports, a loop device, a mount). From the log, disks are built as a cut
//! at any moment may leave them; on each a registry is started, with another boot id, and asked
//! for everything that clients were promised until that moment. First the same is done with a disk
//! that lies about flushes: if nothing is found missing there, the check is worth nothing.
//!
//! All of it happens in a mount namespace of its own, on a tmpfs of its own: however this ends, no
//! mount, loop device or file is left.
//!
//! Read first: `history.rs` (what is owed), `crash.rs` (what a cut may leave), `check.rs`.

mod check;
mod crash;
mod disk;
mod explore;
mod history;
mod random;
mod record;
mod recorder;
mod script;
mod write_log;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use self::check::Expected;
pub(crate) use self::disk::FileSystem;
use self::explore::{Explorer, Findings};
use self::record::{Programs, Recording};
use crate::report::Report;
use crate::tools::Tools;
use crate::{command, registry, test};

/// States of one file system in which a lying disk is looked at, at most.
const PROOF_STATES: u32 = 20;
/// Room for recordings and disks, in memory.
const SCRATCH: &str = "size=3g,mode=0700";
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
const OTHER_BOOT_ID: &str = "00000000-0000-4000-8000-000000000001\n";

/// What to explore.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Crash states to look at, all file systems together
    #[arg(long, default_value_t = 1_000)]
    pub(crate) states: u32,
    /// One file system alone
    #[arg(long, value_enum)]
    pub(crate) filesystem: Option<FileSystem>,
    /// Seed of the script and of the crash states
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Only look whether a disk that lies about flushes is found out
    #[arg(long)]
    pub(crate) prove: bool,
    /// Explore a kept recording once more, in place of making one
    #[arg(long, value_name = "FOLDER", requires = "filesystem")]
    pub(crate) recording: Option<PathBuf>,
    /// One state alone, of the same --states, --seed and --recording
    #[arg(long, value_name = "NUMBER", requires = "recording")]
    pub(crate) state: Option<u32>,
    /// Registry binary to test; built from this tree where not given
    #[arg(long, value_name = "FILE")]
    pub(crate) binary: Option<PathBuf>,
}

impl Options {
    /// What fits between the other steps of CI.
    pub(crate) fn short() -> Self {
        Self {
            states: 60,
            filesystem: None,
            seed: 1,
            prove: false,
            recording: None,
            state: None,
            binary: None,
        }
    }

    fn file_systems(&self) -> Vec<FileSystem> {
        match self.filesystem {
            Some(one) => vec![one],
            None => FileSystem::ALL.to_vec(),
        }
    }
}

/// Explores, in a process that has a mount namespace of its own.
///
/// # Errors
/// Where something acknowledged is lost or something is there by halves; where a program is
/// missing and may not be.
pub(crate) fn run(report: &mut Report, options: &Options) -> Result<()> {
    let mut programs = vec!["qemu-storage-daemon", "fusermount3"];
    programs.extend(options.file_systems().iter().map(|kind| kind.program()));
    let tools = Tools::provide(&programs);
    for program in &programs {
        if let Err(reason) = tools.path(program) {
            return report.skip("power loss", &reason);
        }
    }
    let mut options = options.clone();
    let mut able = Vec::new();
    for kind in options.file_systems() {
        match probe(kind) {
            Ok(()) => able.push(kind),
            Err(error) => report.lack(&format!("power loss, {}", kind.name()), &one_line(&error)),
        }
    }
    match able.as_slice() {
        [] => return Ok(()),
        [one] => options.filesystem = Some(*one),
        _ => {}
    }
    options.binary = Some(registry::binary(options.binary.take())?);
    report.step("power loss", |_| command::show(&mut apart(&options)?))
}

/// This program in a mount namespace of its own.
fn apart(options: &Options) -> Result<Command> {
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--propagation", "private"])
        .arg(std::env::current_exe()?)
        .arg("power-loss-apart")
        .args(["--states", &options.states.to_string()])
        .args(["--seed", &options.seed.to_string()]);
    if let Some(kind) = options.filesystem {
        command.args(["--filesystem", kind.name()]);
    }
    if options.prove {
        command.arg("--prove");
    }
    if let Some(recording) = &options.recording {
        command.arg("--recording").arg(recording);
    }
    if let Some(state) = options.state {
        command.args(["--state", &state.to_string()]);
    }
    if let Some(binary) = &options.binary {
        command.arg("--binary").arg(binary);
    }
    Ok(command)
}

/// Whether this machine can mount such disks; an installed program says nothing about a kernel.
fn probe(kind: FileSystem) -> Result<()> {
    for device in ["/dev/fuse", "/dev/loop-control"] {
        std::fs::File::open(device).with_context(|| format!("cannot open {device}"))?;
    }
    let folder = tempfile::tempdir()?;
    let image = folder.path().join("image");
    kind.make(&image)?;
    let script = "mount -t tmpfs none \"$2\" && mkdir \"$2/at\" && mount -t \"$3\" -o loop \"$1\" \"$2/at\" && \
                  echo other > \"$2/boot_id\" && mount --bind \"$2/boot_id\" \"$4\" && \
                  umount \"$4\" \"$2/at\"";
    let scratch = folder.path().join("scratch");
    std::fs::create_dir(&scratch)?;
    command::capture(
        Command::new("unshare")
            .args([
                "--mount",
                "--propagation",
                "private",
                "sh",
                "-c",
                script,
                "sh",
            ])
            .args([&image, &scratch])
            .args([kind.name(), BOOT_ID]),
    )?;
    Ok(())
}

fn one_line(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    text.lines().collect::<Vec<_>>().join(" ")
}

/// What [`run`] starts: everything, inside the namespace.
///
/// # Errors
/// Those of [`run`].
pub(crate) fn run_apart(options: &Options) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    command::capture(
        Command::new("mount")
            .args(["-t", "tmpfs", "-o", SCRATCH, "none"])
            .arg(scratch.path()),
    )?;
    let outcome = explore_all(options, scratch.path());
    command::capture(Command::new("umount").arg("--lazy").arg(scratch.path()))?;
    outcome
}

fn explore_all(options: &Options, scratch: &Path) -> Result<()> {
    let tools = Tools::provide(&["qemu-storage-daemon"]);
    let programs = Programs {
        registry: registry::binary(options.binary.clone())?,
        storage_daemon: tools
            .path("qemu-storage-daemon")
            .map_err(anyhow::Error::msg)?
            .to_owned(),
    };
    // One after the other, and all before the boot id changes.
    let mut recordings = Vec::new();
    for kind in options.file_systems() {
        let recording = match &options.recording {
            Some(folder) => Recording::open(kind, folder)?,
            None => {
                let folder = scratch.join(format!("{}-recording", kind.name()));
                Recording::make(kind, options.seed, &programs, &folder)
                    .with_context(|| format!("recording on {}", kind.name()))?
            }
        };
        println!(
            "    {}: {} operations, {} entries in the write log",
            kind.name(),
            recording.history.operations.len(),
            recording.entries
        );
        recordings.push(recording);
    }
    change_boot_id(scratch)?;
    let share = options.states.div_ceil(u32::try_from(recordings.len())?);
    let explored = std::thread::scope(|scope| {
        let threads: Vec<_> = recordings
            .iter_mut()
            .map(|recording| {
                let binary = &programs.registry;
                scope.spawn(move || explore_one(options, recording, share, binary, scratch))
            })
            .collect();
        let joined = threads.into_iter().map(|thread| match thread.join() {
            Ok(explored) => explored,
            Err(_) => bail!("an explorer panicked"),
        });
        joined.collect::<Result<Vec<Findings>>>()
    })?;
    let states: u32 = explored.iter().map(|findings| findings.states).sum();
    let violations: usize = explored.iter().map(|one| one.violations.len()).sum();
    println!(
        "    {states} states, {violations} with violations, seed {}",
        options.seed
    );
    ensure!(
        violations == 0,
        "{violations} of {states} states break a promise"
    );
    Ok(())
}

fn explore_one(
    options: &Options,
    recording: &mut Recording,
    states: u32,
    binary: &Path,
    scratch: &Path,
) -> Result<Findings> {
    let name = recording.kind.name();
    let expected = Expected::new(std::mem::take(&mut recording.history));
    let explorer = Explorer {
        recording,
        expected: &expected,
        binary,
        seed: options.seed,
        folder: scratch.join(name),
        kept: test::target_directory().join("power-loss").join(name),
    };
    if options.state.is_none() {
        let (looked_at, found) = explorer.prove(states.div_ceil(3).min(PROOF_STATES))?;
        println!(
            "    {name}: without flushes {found} of {looked_at} states break a promise, as they should"
        );
        ensure!(
            found * 2 > looked_at,
            "{name}: a disk without flushes is not found out: {found} of {looked_at} states"
        );
    }
    if options.prove {
        return Ok(Findings::default());
    }
    explorer.explore(states, options.state)
}

/// A registry after a power cut runs on another boot of the system. Only this namespace sees it.
fn change_boot_id(scratch: &Path) -> Result<()> {
    let other = scratch.join("boot_id");
    std::fs::write(&other, OTHER_BOOT_ID)?;
    command::capture(Command::new("mount").arg("--bind").arg(&other).arg(BOOT_ID))?;
    ensure!(
        std::fs::read_to_string(BOOT_ID)? == OTHER_BOOT_ID,
        "the boot id cannot be changed"
    );
    Ok(())
}
