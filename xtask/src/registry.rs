//! A registry process under test: its own directory, its own port, its log in a file.
//!
//! Dropping it kills it, so no failure leaves one behind; `stop` is the polite way, and checks
//! that a termination signal ends it with exit code 0.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{command, test};

const START_LIMIT: Duration = Duration::from_secs(30);
/// Its configuration file, in its directory.
const CONFIGURATION: &str = "config.yml";
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// Builds the binary in the development profile, or takes the one that was named.
///
/// # Errors
/// Where the build fails.
pub(crate) fn binary(named: Option<PathBuf>) -> Result<PathBuf> {
    if let Some(path) = named {
        return Ok(path);
    }
    command::show(test::cargo().args(["build", "--package", "roadstead"]))?;
    Ok(test::target_directory().join("debug/roadstead"))
}

/// A running registry.
pub(crate) struct Registry {
    binary: PathBuf,
    child: Child,
    address: SocketAddr,
    directory: TempDir,
    root: PathBuf,
}

impl Registry {
    /// Starts `binary serve` with the configuration that every scenario shares (filesystem
    /// storage, deletes on), the top-level YAML sections of `extra`, and `REGISTRY_…` overrides.
    ///
    /// # Errors
    /// Where it does not answer within 30 s; the error carries its log.
    pub(crate) fn start(binary: &Path, extra: &str, overrides: &[(&str, PathBuf)]) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let root = directory.path().join("data");
        Self::launch(binary, directory, root, extra, overrides, false)
    }

    /// The same for one that knows by which URL clients reach it, so that its challenge is Bearer.
    ///
    /// # Errors
    /// Those of [`Registry::start`].
    pub(crate) fn start_with_url(binary: &Path, extra: &str) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let root = directory.path().join("data");
        Self::launch(binary, directory, root, extra, &[], true)
    }

    /// The same with storage in another directory, which outlives it, and no log of requests.
    ///
    /// # Errors
    /// Those of [`Registry::start`].
    pub(crate) fn start_on(binary: &Path, root: &Path) -> Result<Self> {
        let quiet = ("REGISTRY_LOG_ACCESSLOG_DISABLED", PathBuf::from("true"));
        let directory = tempfile::tempdir()?;
        Self::launch(binary, directory, root.to_owned(), "", &[quiet], false)
    }

    fn launch(
        binary: &Path,
        directory: TempDir,
        root: PathBuf,
        extra: &str,
        overrides: &[(&str, PathBuf)],
        knows_url: bool,
    ) -> Result<Self> {
        let address = free_address()?;
        let host = if knows_url {
            format!(", host: \"http://{address}\"")
        } else {
            String::new()
        };
        let config = directory.path().join(CONFIGURATION);
        std::fs::write(
            &config,
            format!(
                "version: 0.1\nlog: {{level: info}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\n  \
                 delete: {{enabled: true}}\nhttp: {{addr: \"{address}\"{host}}}\n{extra}",
                root.display()
            ),
        )?;
        let log = File::create(directory.path().join("log"))?;
        let child = Command::new(binary)
            .arg("serve")
            .arg(&config)
            .envs(overrides.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let mut registry = Self {
            binary: binary.to_owned(),
            child,
            address,
            directory,
            root,
        };
        registry.wait_until_it_answers()?;
        Ok(registry)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Another command of the same binary, such as `robot create`, on this registry's configuration
    /// while it serves. What follows the configuration file is added by the caller.
    pub(crate) fn administer(&self, command: &[&str]) -> Command {
        let mut administer = Command::new(&self.binary);
        administer
            .args(command)
            .arg(self.directory.path().join(CONFIGURATION));
        administer
    }

    /// The root directory of its storage.
    pub(crate) fn data(&self) -> PathBuf {
        self.root.clone()
    }

    /// Memory of its own (not pages of files), in bytes; `None` where the kernel does not say.
    pub(crate) fn anonymous_bytes(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"))?;
        let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        kibibytes.checked_mul(1024)
    }

    /// Everything that it logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Kills it, as the loss of power would.
    pub(crate) fn kill(mut self) {
        stop_by_force(&mut self.child);
    }

    /// Ends it with SIGTERM.
    ///
    /// # Errors
    /// Where it takes longer than 30 s or its exit code is not 0.
    pub(crate) fn stop(mut self) -> Result<()> {
        terminate(&self.child)?;
        match command::wait(&mut self.child, STOP_LIMIT)? {
            Some(status) if status.success() => Ok(()),
            Some(status) => bail!("the registry ended with {status}:\n{}", self.log_tail()),
            None => bail!(
                "the registry did not end within {} s of SIGTERM",
                STOP_LIMIT.as_secs()
            ),
        }
    }

    /// The end of the log, for an error.
    pub(crate) fn log_tail(&self) -> String {
        command::tail(&self.log()).to_owned()
    }

    fn wait_until_it_answers(&mut self) -> Result<()> {
        let address = self.address;
        let child = &mut self.child;
        let mut ended = None;
        let answered = command::until(START_LIMIT, || {
            ended = child.try_wait()?;
            Ok(ended.is_some() || TcpStream::connect(address).is_ok())
        })?;
        match ended {
            None if answered => Ok(()),
            None => bail!("the registry does not answer:\n{}", self.log_tail()),
            Some(status) => bail!("the registry ended with {status}:\n{}", self.log_tail()),
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        stop_by_force(&mut self.child);
    }
}

/// Asks a child to end.
///
/// # Errors
/// Where it is gone already.
pub(crate) fn terminate(child: &Child) -> Result<()> {
    let pid = Pid::from_child(child);
    kill_process(pid, Signal::TERM).context("cannot send SIGTERM")
}

/// Kills a child that may have ended already; there is nobody left to tell of an error.
pub(crate) fn stop_by_force(child: &mut Child) {
    if let Ok(None) = child.try_wait() {
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// A loopback port that was free a moment ago.
///
/// The other process cannot inherit the listener, so another could take the port in between;
/// the kernel hands out ports in turn, which makes that improbable, and then the start fails.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
