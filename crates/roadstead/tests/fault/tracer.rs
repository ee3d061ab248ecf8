//! `strace` on a registry that runs.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Registry, SOON, until};

/// A tracer that makes calls fail. Dropped, it lets go of the process.
pub(crate) struct Tracer {
    child: Child,
    lines: Option<JoinHandle<()>>,
    log: PathBuf,
}

impl Tracer {
    /// Makes calls fail, each as `<call>:error=<error>…`; where a path is given, those on it alone.
    pub(crate) fn attach(registry: &Registry, injects: &[&str], path: Option<&Path>) -> Self {
        let log = registry.builder().path("strace");
        drop(std::fs::remove_file(&log));
        let call = |inject: &&str| inject.split(':').next().unwrap().to_owned();
        let calls: Vec<String> = injects.iter().map(call).collect();
        let injects = injects.iter().map(|inject| format!("inject={inject}"));
        let mut child = Command::new("strace")
            .args(["-f", "-y", "-p", &registry.pid().to_string()])
            .args(["-e", &format!("trace={}", calls.join(","))])
            .args(injects.flat_map(|inject| ["-e".to_owned(), inject]))
            .arg("-o")
            .arg(&log)
            .args(path.into_iter().flat_map(|path| [Path::new("-P"), path]))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let attached = lines.any(|line| line.unwrap().contains("attached"));
        assert!(attached, "strace could not attach");
        // Nobody else empties the pipe.
        let lines = Some(std::thread::spawn(move || lines.for_each(drop)));
        Self { child, lines, log }
    }

    /// Waits until such a call has ended: what is removed is removed after the answer. One that has
    /// only begun is not enough: let go of in between, it fails with an error nobody asked for.
    pub(crate) fn wait_for(&self, call: &str) {
        until(call, SOON, || {
            let text = std::fs::read_to_string(&self.log).unwrap_or_default();
            let ended = |line: &str| line.contains(call) && line.contains(" = ");
            text.lines().any(ended).then_some(())
        });
    }

    /// Lets go, and returns the calls that failed.
    pub(crate) fn detach(mut self) -> Vec<String> {
        self.end();
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let injected = text.lines().filter(|line| line.contains("(INJECTED)"));
        injected.map(str::to_owned).collect()
    }

    fn end(&mut self) {
        let pid = Pid::from_child(&self.child);
        // It may have ended with the process, or wait for good for a thread of one that has ended:
        // killed, it lets go too.
        let deadline = Instant::now() + Duration::from_secs(3);
        while self.child.try_wait().unwrap().is_none() {
            let late = Instant::now() > deadline;
            let signal = if late { Signal::KILL } else { Signal::INT };
            let _ = kill_process(pid, signal);
            std::thread::park_timeout(Duration::from_millis(20));
        }
        if let Some(lines) = self.lines.take() {
            lines.join().unwrap();
        }
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        self.end();
    }
}
