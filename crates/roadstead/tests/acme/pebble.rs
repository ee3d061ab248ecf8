//! The ACME server.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rcgen::{CertificateParams, SanType};
use serde_json::json;
use tempfile::TempDir;

use crate::harness::{Authority, SOON, TlsClient, until};
use crate::names;

/// A name that it never issues for.
pub(crate) const BLOCKED: &str = "blocked.example.org";

/// A running server. Dropped, it is killed.
pub(crate) struct Pebble {
    child: Child,
    directory: TempDir,
    ports: [u16; 2],
    root: String,
    program: PathBuf,
    resolver: SocketAddr,
    client: TlsClient,
}

impl Pebble {
    /// Starts one that issues for so long, and looks at names at this port. None where there is no
    /// such program, which `cargo xtask test` installs.
    pub(crate) fn start(life: Duration, looks_at: SocketAddr) -> Option<Self> {
        let Some(program) = program() else {
            let ci = std::env::var_os("CI").is_some();
            assert!(!ci, "pebble is not here: cargo xtask test installs it");
            eprintln!("skipped: pebble is not here: cargo xtask test installs it");
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let authority = Authority::new("servers");
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params
            .subject_alt_names
            .push(SanType::IpAddress([127, 0, 0, 1].into()));
        let pair = authority.issue(params);
        std::fs::write(path("authority.pem"), authority.pem()).unwrap();
        std::fs::write(path("certificate.pem"), &pair.certificate).unwrap();
        std::fs::write(path("key.pem"), &pair.key).unwrap();
        let resolver = names::serve();
        let client = TlsClient::trusting(&authority.pem());
        // Its ports were free a moment ago; on others if somebody else was faster.
        for _ in 0..20 {
            let [port, management] = free();
            let config = json!({ "pebble": {
                "listenAddress": format!("127.0.0.1:{port}"),
                "managementListenAddress": format!("127.0.0.1:{management}"),
                "certificate": path("certificate.pem"),
                "privateKey": path("key.pem"),
                "httpPort": looks_at.port(),
                "tlsPort": looks_at.port(),
                "domainBlocklist": [BLOCKED],
                "keyAlgorithm": "ecdsa",
                "retryAfter": { "authz": 1, "order": 1 },
                "profiles": { "default": {
                    "description": "the one",
                    "validityPeriod": life.as_secs(),
                } },
            } });
            std::fs::write(path("config.json"), config.to_string()).unwrap();
            let mut child = spawn(directory.path(), &program, resolver);
            let root = root_of(&mut child, &client, [port, management]);
            if let Some(root) = root {
                return Some(Self {
                    child,
                    directory,
                    ports: [port, management],
                    root,
                    program,
                    resolver,
                    client,
                });
            }
        }
        let log = std::fs::read_to_string(path("log")).unwrap();
        panic!("pebble does not listen: {log}");
    }

    /// Starts it once more where it was: it has forgotten all accounts, and has another authority.
    pub(crate) fn restart(mut self) -> Self {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = spawn(self.directory.path(), &self.program, self.resolver);
        let root = root_of(&mut self.child, &self.client, self.ports);
        self.root = root.expect("pebble ends at once");
        self
    }

    /// The URL of its directory.
    pub(crate) fn directory(&self) -> String {
        format!("https://localhost:{}/dir", self.ports[0])
    }

    /// The file with the authority of its own certificate.
    pub(crate) fn authority(&self) -> PathBuf {
        self.directory.path().join("authority.pem")
    }

    /// The authority of the certificates that it issues.
    pub(crate) fn root(&self) -> String {
        self.root.clone()
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.directory.path().join("log"));
            eprintln!("pebble:\n{}", log.unwrap_or_default());
        }
    }
}

fn spawn(directory: &Path, program: &Path, resolver: SocketAddr) -> Child {
    let log = std::fs::File::create(directory.join("log")).unwrap();
    Command::new(program)
        .arg("-config")
        .arg(directory.join("config.json"))
        .arg("-dnsserver")
        .arg(resolver.to_string())
        .env("PEBBLE_VA_NOSLEEP", "1")
        .env("PEBBLE_VA_ALWAYS_VALID", "0")
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// The authority of what it issues, once it listens at its own port and at the one for that; none
/// where it has ended.
fn root_of(child: &mut Child, client: &TlsClient, ports: [u16; 2]) -> Option<String> {
    until("pebble", SOON, || {
        if child.try_wait().unwrap().is_some() {
            return Some(None);
        }
        let get = |port: u16, path: &str| {
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            client.connect(address, "localhost").ok()?.get(path).ok()
        };
        get(ports[0], "/dir")?;
        let (status, root) = get(ports[1], "/roots/0")?;
        (status == 200).then(|| Some(String::from_utf8(root).unwrap()))
    })
}

/// The program, where `cargo xtask` puts it or on the path.
fn program() -> Option<PathBuf> {
    let tools = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../.tools");
    let installed = std::fs::read_dir(tools).into_iter().flatten();
    let installed = installed
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("pebble-"))
        });
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let on_path: Vec<PathBuf> = std::env::split_paths(&on_path).collect();
    installed
        .chain(on_path)
        .map(|directory| directory.join("pebble"))
        .find(|program| program.is_file())
}

/// Two ports that are free.
fn free() -> [u16; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}
