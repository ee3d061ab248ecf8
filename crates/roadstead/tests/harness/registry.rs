//! The registry as a process: the real binary in a directory of its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use regex::Regex;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::log::Log;
use super::{Answer, Builder, Request, SOON, until};

/// A running registry. Dropped, it is killed.
pub(crate) struct Registry {
    child: Child,
    address: SocketAddr,
    log: Arc<Log>,
    builder: Builder,
}

impl Registry {
    /// The ordinary registry.
    pub(crate) fn start() -> Self {
        Builder::new().start()
    }

    pub(super) fn spawn(builder: Builder) -> Result<Self, String> {
        let mut command = builder.command();
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Log::default());
        log.follow(child.stdout.take().unwrap());
        log.follow(child.stderr.take().unwrap());
        let address = if builder.config["http"]["net"] == "unix" {
            // Nobody asks for it: such a registry is spoken to at its socket.
            log.wait_for(SOON, |line| line.contains("listening on").then_some(()));
            SocketAddr::from(([127, 0, 0, 1], 0))
        } else {
            address_in(&log, &mut child)?
        };
        Ok(Self {
            child,
            address,
            log,
            builder,
        })
    }

    /// The ordinary registry with these sections laid over its configuration.
    pub(crate) fn configured(sections: Value) -> Self {
        Builder::new().config(sections).start()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it was started with, to start it once more.
    pub(crate) fn builder(&self) -> Builder {
        self.builder.clone()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The root directory of its storage.
    pub(crate) fn data(&self) -> PathBuf {
        self.builder.path("data")
    }

    pub(crate) fn request(&self, method: &str, target: impl AsRef<str>) -> Request {
        Request::new(self.address, method, target.as_ref())
    }

    pub(crate) fn get(&self, target: impl AsRef<str>) -> Request {
        self.request("GET", target)
    }

    pub(crate) fn head(&self, target: impl AsRef<str>) -> Request {
        self.request("HEAD", target)
    }

    pub(crate) fn post(&self, target: impl AsRef<str>) -> Request {
        self.request("POST", target).body("")
    }

    pub(crate) fn put(&self, target: impl AsRef<str>) -> Request {
        self.request("PUT", target).body("")
    }

    pub(crate) fn patch(&self, target: impl AsRef<str>) -> Request {
        self.request("PATCH", target)
            .header("Content-Type", "application/octet-stream")
    }

    pub(crate) fn delete(&self, target: impl AsRef<str>) -> Request {
        self.request("DELETE", target)
    }

    /// Everything it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.text()
    }

    /// Waits for a line of the log that contains this.
    pub(crate) fn wait_for_log(&self, part: &str) -> String {
        self.log
            .wait_for(SOON, |line| line.contains(part).then(|| line.to_owned()))
            .unwrap_or_else(|| panic!("no line with {part:?} in the log:\n{}", self.log()))
    }

    /// Sends SIGTERM and goes on at once.
    pub(crate) fn signal_term(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends a signal and goes on at once.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Sends SIGTERM and waits for the end.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        self.signal_term();
        self.wait_for_exit()
    }

    /// Waits until the process has ended by itself.
    pub(crate) fn wait_for_exit(&mut self) -> ExitStatus {
        until("the end of the process", SOON, || {
            self.child.try_wait().unwrap()
        })
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Kills the process as a power button would, as far as a process can tell.
    pub(crate) fn kill_9(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on the same directory; the port is another one.
    pub(crate) fn restart(self) -> Self {
        let mut ended = self;
        if ended.is_running() {
            assert!(ended.terminate().success(), "{}", ended.log());
        }
        ended.builder.clone().start()
    }

    /// Peak resident memory of the process in bytes.
    pub(crate) fn peak_memory_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmHWM:"))
            .expect("VmHWM");
        let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib << 10
    }

    /// Open sockets of the process, those that listen included.
    pub(crate) fn sockets(&self) -> usize {
        let files = std::fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap();
        let target =
            |file: std::io::Result<std::fs::DirEntry>| std::fs::read_link(file.ok()?.path()).ok();
        files
            .filter_map(target)
            .filter(|target| target.to_string_lossy().starts_with("socket:"))
            .count()
    }

    /// Processor time that the process has used so far.
    pub(crate) fn processor_time(&self) -> Duration {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        // The name in parentheses may have spaces; utime and stime are fields 14 and 15.
        let fields: Vec<&str> = text
            .rsplit(')')
            .next()
            .unwrap()
            .split_whitespace()
            .collect();
        let ticks: u64 = fields[11..13]
            .iter()
            .map(|field| field.parse::<u64>().unwrap())
            .sum();
        // USER_HZ is 100 on every architecture that Linux has now.
        Duration::from_millis(ticks * 10)
    }

    /// Asks the debug server for the health; its address comes from the log.
    pub(crate) fn health(&self) -> Answer {
        let line = self.wait_for_log("debug server: ");
        let pattern = Regex::new(r"127\.0\.0\.1:[1-9]\d*").unwrap();
        let address = pattern
            .find(&line)
            .unwrap_or_else(|| panic!("{line}"))
            .as_str();
        Request::new(address.parse().unwrap(), "GET", "/debug/health").send_any()
    }

    /// Bytes that all objects on disk have together.
    pub(crate) fn object_bytes(&self) -> u64 {
        self.objects()
            .iter()
            .map(|path| std::fs::metadata(path).map_or(0, |file| file.len()))
            .sum()
    }

    /// The objects on disk.
    pub(crate) fn objects(&self) -> Vec<PathBuf> {
        let shards = std::fs::read_dir(self.data().join("objects")).unwrap();
        shards
            .flat_map(|shard| std::fs::read_dir(shard.unwrap().path()).unwrap())
            .map(|object| object.unwrap().path())
            .collect()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        if self.is_running() {
            self.kill_9();
        }
        if std::thread::panicking() {
            let log = self.log();
            let tail = log.len().saturating_sub(20_000);
            let tail = (tail..=log.len())
                .find(|at| log.is_char_boundary(*at))
                .unwrap_or(0);
            eprintln!("---- log of the registry ----\n{}\n----", &log[tail..]);
        }
    }
}

fn address_in(log: &Log, child: &mut Child) -> Result<SocketAddr, String> {
    let pattern = Regex::new(r"127\.0\.0\.1:[1-9]\d*").unwrap();
    let look = |line: &str| {
        let relevant = line.contains("listening on") && !line.contains("debug");
        relevant
            .then(|| pattern.find(line)?.as_str().parse().ok())
            .flatten()
    };
    let deadline = Instant::now() + SOON;
    loop {
        if let Some(address) = log.wait_for(Duration::from_millis(200), look) {
            return Ok(address);
        }
        let ended = child.try_wait().unwrap();
        if ended.is_some() || Instant::now() > deadline {
            if ended.is_none() {
                child.kill().unwrap();
                child.wait().unwrap();
            }
            let log = log.text();
            return Err(format!("ended: {ended:?}; its log:\n{log}"));
        }
    }
}
