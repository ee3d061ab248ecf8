//! A server's process: its output goes to a file, and it never outlives this program.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpStream;

use crate::procfs;

const START_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(1);
/// How much of its output an error shows, in bytes from the end.
const SHOWN_BYTES: usize = 2_000;

/// Processes that run now, for the case that this program is told to end.
static RUNNING: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// A running server.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it with its output in `log` in the directory.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub(crate) fn spawn(mut command: Command, directory: &Path) -> Result<Self> {
        let log = directory.join("log");
        let output = File::create(&log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        running(|pids| pids.push(child.id()));
        Ok(Self { child, log })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The end of what it wrote.
    pub(crate) fn said(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        let from = bytes.len().saturating_sub(SHOWN_BYTES);
        String::from_utf8_lossy(bytes.get(from..).unwrap_or_default()).into_owned()
    }

    /// Waits until a connection is taken.
    ///
    /// # Errors
    /// Where it ends before, or takes longer than 30 s.
    pub(crate) async fn wait_until_it_listens(&mut self, address: SocketAddr) -> Result<()> {
        let begun = Instant::now();
        while TcpStream::connect(address).await.is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended with {status}:\n{}", self.said());
            }
            if begun.elapsed() > START_LIMIT {
                bail!("the server does not listen:\n{}", self.said());
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    fn ended_within(&mut self, limit: Duration) -> bool {
        let begun = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if begun.elapsed() > limit {
                return false;
            }
            std::thread::sleep(POLL);
        }
        true
    }
}

impl Drop for Process {
    /// Politely first: workers of a process that is killed would stay.
    fn drop(&mut self) {
        let workers = procfs::children(self.id());
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        if !self.ended_within(STOP_LIMIT) {
            let _ = self.child.kill();
            let _ = self.child.wait();
            for worker in workers {
                signal(worker, Signal::KILL);
            }
        }
        let id = self.id();
        running(|pids| pids.retain(|pid| *pid != id));
    }
}

/// Ends every server that runs.
pub(crate) fn end_all() {
    running(|pids| {
        for pid in pids.drain(..) {
            signal(pid, Signal::TERM);
        }
    });
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

fn running(change: impl FnOnce(&mut Vec<u32>)) {
    let mut pids = RUNNING
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    change(&mut pids);
}
