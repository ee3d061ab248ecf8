//! containerd, and its command `ctr`, which keeps no login: each pull and push is told who asks.

use std::process::Command;

use anyhow::{Context, Result};

use super::daemon::Daemon;
use super::workbench::Workbench;
use crate::{command, image, tools};

/// Nothing for Kubernetes: that part wants networks.
const CONFIGURATION: &str = "version = 2\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n";
/// What `import` calls the image of a layout with the tag `one`.
const IMPORTED: &str = "local/e2e:one";

/// A daemon of containerd with one image, ended when dropped.
pub(super) struct Containerd<'a> {
    bench: &'a Workbench<'a>,
    socket: String,
    daemon: Daemon,
}

impl<'a> Containerd<'a> {
    /// Starts a daemon below the scenario's folder, and gives it an image of its own.
    ///
    /// # Errors
    /// Where it does not answer within 60 s, or does not take the image.
    pub(super) fn start(bench: &'a Workbench<'a>, layout: &image::Layout) -> Result<Self> {
        let socket = bench.path("containerd.sock").to_string_lossy().into_owned();
        let configuration = bench.path("containerd.toml");
        std::fs::write(&configuration, CONFIGURATION)?;
        let mut command = bench.client("containerd")?;
        command
            .args(["--address", &socket])
            .arg("--config")
            .arg(&configuration)
            .arg("--root")
            .arg(bench.path("containerd-data"))
            .arg("--state")
            .arg(bench.path("containerd-state"));
        let version = || -> Result<Command> {
            let mut version = client(bench, &socket)?;
            version.arg("version");
            Ok(version)
        };
        let daemon = Daemon::start(command, bench.path("containerd.log"), version)?;
        let containerd = Self {
            bench,
            socket,
            daemon,
        };
        let archive = bench.path("one.tar");
        let source = format!("oci:{}:one", layout.directory.display());
        let target = format!("oci-archive:{}:one", archive.display());
        let convert = ["--insecure-policy", "copy", &source, &target];
        command::capture(bench.client("skopeo")?.args(convert))?;
        command::capture(
            containerd
                .images("import", None)?
                .args(["--no-unpack", "--base-name", "local/e2e"])
                .arg(&archive),
        )?;
        Ok(containerd)
    }

    /// A pull by somebody, or by nobody in particular.
    ///
    /// # Errors
    /// Where there is no `ctr`.
    pub(super) fn pull(&self, who: Option<&str>, target: &str) -> Result<Command> {
        let mut command = self.images("pull", who)?;
        command.args(["--plain-http", "--snapshotter", "native", target]);
        Ok(command)
    }

    /// A push of its own image.
    ///
    /// # Errors
    /// Where there is no `ctr`.
    pub(super) fn push(&self, who: Option<&str>, target: &str) -> Result<Command> {
        let mut command = self.images("push", who)?;
        command.args(["--plain-http", target, IMPORTED]);
        Ok(command)
    }

    /// A `pull` or `push` over TLS, to a registry with the certificate `registry.crt` in a folder,
    /// perhaps with the client's own beside it. It is told by files such as Kubernetes' nodes
    /// have: whatever its options say, `ctr` speaks in clear text to a loopback address.
    ///
    /// # Errors
    /// Where there is no `ctr`, and those of the file system.
    pub(super) fn over_tls(
        &self,
        action: &str,
        folder: &str,
        shows_own: bool,
        target: &str,
    ) -> Result<Command> {
        let host = self.bench.host();
        let hosts = format!("{folder}/hosts");
        std::fs::create_dir_all(format!("{hosts}/{host}"))?;
        let own = match shows_own {
            true => format!("client = [[\"{folder}/client.cert\", \"{folder}/client.key\"]]\n"),
            false => String::new(),
        };
        std::fs::write(
            format!("{hosts}/{host}/hosts.toml"),
            format!("[host.\"https://{host}\"]\nca = \"{folder}/registry.crt\"\n{own}"),
        )?;
        let mut command = self.images(action, None)?;
        command.args(["--hosts-dir", &hosts]);
        match action {
            "push" => command.args([target, IMPORTED]),
            _ => command.args(["--snapshotter", "native", target]),
        };
        Ok(command)
    }

    /// Ends the daemon.
    ///
    /// # Errors
    /// Where it does not end within 30 s.
    pub(super) fn stop(self) -> Result<()> {
        self.daemon.stop()
    }

    fn images(&self, action: &str, who: Option<&str>) -> Result<Command> {
        let mut command = client(self.bench, &self.socket)?;
        command.args(["--namespace", "e2e", "images", action]);
        if let Some(who) = who {
            command.args(["--user", who]);
        }
        Ok(command)
    }
}

fn client(bench: &Workbench, socket: &str) -> Result<Command> {
    let path = tools::find("ctr").context("there is a containerd but no ctr")?;
    let mut command = bench.at_home(&path);
    command.args(["--address", socket]);
    Ok(command)
}
