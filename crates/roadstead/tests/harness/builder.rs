//! What a registry is started with, and starts that must fail.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::log::Log;
use super::{Registry, SOON, merge};

/// What a registry is started with.
#[derive(Clone)]
pub(crate) struct Builder {
    pub(super) directory: Arc<TempDir>,
    pub(super) config: Value,
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
                panic!("it started:\n{}", log.text());
            }
            std::thread::park_timeout(Duration::from_millis(5));
        };
        stderr.join().unwrap();
        let text = log.text();
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

    pub(crate) fn command_of(&self, arguments: impl IntoIterator<Item = OsString>) -> Command {
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
        self.try_start()
            .unwrap_or_else(|ended| panic!("the registry does not listen: {ended}"))
    }

    /// Starts it and waits until it listens, or has ended: then how, with all that it said.
    pub(crate) fn try_start(self) -> Result<Registry, String> {
        Registry::spawn(self)
    }
}

/// The binary under test; `ROADSTEAD_BINARY` names another build, a release one for example.
fn binary() -> OsString {
    std::env::var_os("ROADSTEAD_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_roadstead").into())
}

/// Takes away what the developer's environment could change.
fn clean(command: &mut Command) {
    command.stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("REGISTRY_")
            || text.starts_with("LISTEN_")
            || ["RUST_LOG", "ROADSTEAD_FAIL"].contains(&&*text)
        {
            command.env_remove(&name);
        }
    }
}

/// Writes (user, password) pairs with the cheapest hash that bcrypt has.
fn write_htpasswd(path: &Path, users: &[(&str, &str)]) {
    let lines: String = users
        .iter()
        .map(|(user, password)| format!("{user}:{}\n", bcrypt::hash(password, 4).unwrap()))
        .collect();
    std::fs::write(path, lines).unwrap();
}
