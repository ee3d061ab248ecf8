//! The recording: a disk, everything that was written to it, and what clients did meanwhile.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::crash;
use super::disk::{FileSystem, LoggedDisk, Mounted};
use super::history::History;
use super::recorder::Recorder;
use super::script::Worker;
use super::write_log::WriteLog;
use crate::registry::Registry;

/// Clients at a time.
const WORKERS: usize = 4;
const STEPS: usize = 14;
/// More than the registry flushes at a time (64 MiB), so that the upload has a durable part.
const LONG_BYTES: usize = 66 << 20;
const LONG_SENT_BYTES: usize = 65 << 20;

/// A recording in a folder.
pub(super) struct Recording {
    folder: PathBuf,
    pub(super) kind: FileSystem,
    pub(super) history: History,
    /// Entries until the power was lost.
    pub(super) entries: u64,
}

/// What is kept of it beside disk and log.
#[derive(Serialize, Deserialize)]
struct Kept {
    entries: u64,
    history: History,
}

impl Recording {
    /// The disk as it was before the first entry of the log.
    pub(super) fn base(&self) -> PathBuf {
        self.folder.join("base.img")
    }

    /// The writes.
    pub(super) fn log(&self) -> Result<WriteLog> {
        WriteLog::open(&self.folder.join("writes.log"))
    }

    /// Copies it to another folder, to be explored again.
    pub(super) fn keep(&self, to: &Path) -> Result<()> {
        std::fs::create_dir_all(to)?;
        for name in ["base.img", "writes.log", "history.json"] {
            crash::copy(&File::open(self.folder.join(name))?, &to.join(name))?;
        }
        Ok(())
    }

    /// Opens one that was kept.
    pub(super) fn open(kind: FileSystem, folder: &Path) -> Result<Self> {
        let path = folder.join("history.json");
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("no recording of {} in {}", kind.name(), folder.display()))?;
        let kept: Kept = serde_json::from_str(&text)?;
        Ok(Self {
            folder: folder.to_owned(),
            kind,
            history: kept.history,
            entries: kept.entries,
        })
    }

    /// Makes one: clients work, the registry is stopped once and killed once meanwhile, and in the
    /// end the power is lost while uploads are open.
    pub(super) fn make(
        kind: FileSystem,
        seed: u64,
        tools: &Programs,
        folder: &Path,
    ) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let (base, log) = (folder.join("base.img"), folder.join("writes.log"));
        let live = folder.join("live.img");
        kind.make(&live)?;
        crash::copy(&File::open(&live)?, &base)?;
        let disk = LoggedDisk::start(&tools.storage_daemon, &live, &log, folder)?;
        let mounted = Mounted::new(kind, disk.path(), &folder.join("mounted"))?;
        let played = play(
            &mounted.data(),
            &tools.registry,
            WriteLog::open(&log)?,
            seed,
        );
        let unmounted = mounted.unmount();
        let (history, entries) = played?;
        unmounted?;
        disk.stop()?;
        std::fs::remove_file(&live)?;
        WriteLog::open(&log)?.complete()?;
        let kept = Kept { entries, history };
        std::fs::write(folder.join("history.json"), serde_json::to_string(&kept)?)?;
        Ok(Self {
            folder: folder.to_owned(),
            kind,
            history: kept.history,
            entries,
        })
    }
}

/// What a recording needs.
pub(super) struct Programs {
    pub(super) registry: PathBuf,
    pub(super) storage_daemon: PathBuf,
}

fn play(data: &Path, binary: &Path, log: WriteLog, seed: u64) -> Result<(History, u64)> {
    let start = || Registry::start_on(binary, data);
    let mut registry = start()?;
    let recorder = Recorder::new(registry.address(), log);
    let mut workers: Vec<Worker<'_>> = (0..WORKERS)
        .map(|number| Worker::new(&recorder, seed, &format!("worker{number}")))
        .collect();
    let mut first = Worker::new(&recorder, seed, "first");
    first.play_all()?;
    together(&mut workers, STEPS)?;
    registry.stop()?;
    registry = start()?;
    recorder.moved_to(registry.address());
    together(&mut workers, STEPS)?;
    registry.kill();
    registry = start()?;
    recorder.moved_to(registry.address());
    first.play_some(STEPS)?;
    first.begin_long_upload(LONG_BYTES, LONG_SENT_BYTES)?;
    together(&mut workers, STEPS / 3)?;
    let entries = recorder.position()?;
    registry.kill();
    Ok((recorder.into_history(), entries))
}

/// All workers at once; each goes on to its own end, whatever the others meet.
fn together(workers: &mut [Worker<'_>], steps: usize) -> Result<()> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = workers
            .iter_mut()
            .map(|worker| scope.spawn(move || worker.play_some(steps)))
            .collect();
        for thread in threads {
            match thread.join() {
                Ok(played) => played?,
                Err(_) => bail!("a worker panicked"),
            }
        }
        Ok(())
    })
}
