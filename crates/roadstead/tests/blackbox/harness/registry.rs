//! The registry as a process: the real binary in a directory of its own.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use regex::Regex;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Answer, Request, SOON, merge, until};

/// A running registry. Dropped, it is killed.
pub(crate) struct Registry {
    child: Child,
    address: SocketAddr,
    log: Arc<Log>,
    builder: Builder,
}

/// What a registry is started with.
#[derive(Clone)]
pub(crate) struct Builder {
    directory: Arc<TempDir>,
    config: Value,
    file: File,
    environment: Vec<(String, String)>,
    wrapper: Vec<OsString>,
}

/// What the configuration is read from.
#[derive(Clone)]
enum File {
    /// The builder's own document.
    Document,
    /// This text.
    Text(String),
    /// Nothing: the command line is empty.
    None,
}

/// Everything that the process wrote to standard output and standard error.
#[derive(Default)]
struct Log {
    text: Mutex<String>,
    grown: Condvar,
}

impl Builder {
    /// Filesystem storage, deletes on, a port that the system chooses.
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = json!({
            "version": 0.1,
            "log": { "level": "info" },
            "storage": {
                "filesystem": { "rootdirectory": directory.path().join("data") },
                "delete": { "enabled": true },
            },
            "http": { "addr": "127.0.0.1:0" },
        });
        Self {
            directory: Arc::new(directory),
            config,
            file: File::Document,
            environment: Vec::new(),
            wrapper: Vec::new(),
        }
    }

    /// Lays these sections over the configuration; null removes a key.
    pub(crate) fn config(mut self, sections: Value) -> Self {
        merge(&mut self.config, &sections);
        self
    }

    /// A configuration file of exactly this text, in place of the builder's own.
    pub(crate) fn text(mut self, text: &str) -> Self {
        self.file = File::Text(text.to_owned());
        self
    }

    /// No configuration file, and nothing on the command line.
    pub(crate) fn bare(mut self) -> Self {
        self.file = File::None;
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts the binary through another program, which gets it as its last arguments.
    pub(crate) fn through(mut self, program: &[&str]) -> Self {
        self.wrapper = program.iter().map(OsString::from).collect();
        self
    }

    /// Writes an htpasswd file of these (user, password) pairs and turns it on.
    pub(crate) fn users(self, users: &[(&str, &str)]) -> Self {
        let path = self.path("htpasswd");
        write_htpasswd(&path, users);
        self.config(json!({ "auth": { "htpasswd": { "realm": "test realm", "path": path } } }))
    }

    /// A path in the test's own directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The command that `start` runs.
    pub(crate) fn command(&self) -> Command {
        let file = self.write_file();
        let words = file
            .iter()
            .flat_map(|file| [OsString::from("serve"), file.into()]);
        self.command_of(words)
    }

    /// Runs `roadstead check` on the configuration to its end.
    pub(crate) fn check(&self) -> Output {
        let file = self.write_file().into_iter().map(OsString::from);
        self.run([OsString::from("check")].into_iter().chain(file))
    }

    /// Runs the binary with these arguments to its end.
    pub(crate) fn run(&self, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Output {
        self.command_of(arguments.into_iter().map(Into::into))
            .output()
            .unwrap()
    }

    /// Starts it where it must not start: waits for the end, which must be with status 1, and
    /// returns what it says, without the log.
    pub(crate) fn refused(&self) -> Vec<String> {
        let mut command = self.command();
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Log::default());
        log.follow(child.stdout.take().unwrap());
        let stderr = log.follow(child.stderr.take().unwrap());
        let deadline = Instant::now() + SOON;
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > deadline {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("it started:\n{}", log.text.lock().unwrap());
            }
            std::thread::park_timeout(Duration::from_millis(5));
        };
        stderr.join().unwrap();
        let text = log.text.lock().unwrap().clone();
        assert_eq!(status.code(), Some(1), "{text}");
        text.lines()
            .filter_map(|line| line.strip_prefix("roadstead: "))
            .map(str::to_owned)
            .collect()
    }

    fn write_file(&self) -> Option<PathBuf> {
        let file = self.path("config.yml");
        // JSON is YAML.
        let text = match &self.file {
            File::Document => serde_json::to_string_pretty(&self.config).unwrap(),
            File::Text(text) => text.clone(),
            File::None => return None,
        };
        std::fs::write(&file, text).unwrap();
        Some(file)
    }

    fn command_of(&self, arguments: impl Iterator<Item = OsString>) -> Command {
        let binary = binary();
        let mut words = self.wrapper.iter().chain([&binary]);
        let mut command = Command::new(words.next().unwrap());
        command
            .args(words)
            .args(arguments)
            .current_dir(self.directory.path());
        clean(&mut command);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts it and waits until it listens.
    pub(crate) fn start(self) -> Registry {
        let mut command = self.command();
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Log::default());
        log.follow(child.stdout.take().unwrap());
        log.follow(child.stderr.take().unwrap());
        let address = if self.config["http"]["net"] == "unix" {
            // Nobody asks for it: such a registry is spoken to at its socket.
            log.wait_for(SOON, |line| line.contains("listening on").then_some(()));
            SocketAddr::from(([127, 0, 0, 1], 0))
        } else {
            address_in(&log, &mut child)
        };
        Registry {
            child,
            address,
            log,
            builder: self,
        }
    }
}

impl Registry {
    /// The ordinary registry.
    pub(crate) fn start() -> Self {
        Builder::new().start()
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
        self.log.text.lock().unwrap().clone()
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
        let address = pattern.find(&line).unwrap_or_else(|| panic!("{line}")).as_str();
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

impl Log {
    fn follow(self: &Arc<Self>, from: impl Read + Send + 'static) -> JoinHandle<()> {
        let log = Arc::clone(self);
        std::thread::spawn(move || {
            for line in BufReader::new(from).split(b'\n') {
                let Ok(line) = line else { return };
                let mut text = log.text.lock().unwrap();
                text.push_str(&String::from_utf8_lossy(&line));
                text.push('\n');
                log.grown.notify_all();
            }
        })
    }

    /// The first line that `look` takes, waited for.
    fn wait_for<T>(&self, limit: Duration, look: impl Fn(&str) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + limit;
        let mut text = self.text.lock().unwrap();
        loop {
            if let Some(found) = text.lines().find_map(&look) {
                return Some(found);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            text = self.grown.wait_timeout(text, left).unwrap().0;
        }
    }
}

/// The binary under test; `ROADSTEAD_BINARY` names another build, a release one for example.
pub(crate) fn binary() -> OsString {
    std::env::var_os("ROADSTEAD_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_roadstead").into())
}

/// Takes away what the developer's environment could change.
pub(crate) fn clean(command: &mut Command) {
    command.stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("REGISTRY_") || text.starts_with("LISTEN_") || text == "RUST_LOG" {
            command.env_remove(&name);
        }
    }
}

/// Writes (user, password) pairs with the cheapest hash that bcrypt has.
pub(crate) fn write_htpasswd(path: &Path, users: &[(&str, &str)]) {
    let lines: String = users
        .iter()
        .map(|(user, password)| format!("{user}:{}\n", bcrypt::hash(password, 4).unwrap()))
        .collect();
    std::fs::write(path, lines).unwrap();
}

fn address_in(log: &Log, child: &mut Child) -> SocketAddr {
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
            return address;
        }
        let ended = child.try_wait().unwrap();
        if ended.is_some() || Instant::now() > deadline {
            let log = log.text.lock().unwrap();
            panic!("the registry does not listen (ended: {ended:?}); its log:\n{log}");
        }
    }
}
