//! A directory for a test: Debian's slapd on ports of its own, with its data in a directory of its
//! own, filled with a few people and groups.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ldap3::{LdapConnAsync, Mod, Scope};
use tempfile::TempDir;

pub(crate) const BASE: &str = "dc=example,dc=org";
/// The administrator, who is bound by no rule.
const ADMIN: &str = "cn=admin,dc=example,dc=org";
/// Far more than a start takes.
const SOON: Duration = Duration::from_secs(60);

/// A directory that runs.
pub(crate) struct Slapd {
    directory: TempDir,
    ports: [u16; 2],
    child: Child,
}

/// Where a program is, unless it is not here; CI must have it.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/usr/lib/openldap"].map(PathBuf::from);
    let found = std::env::split_paths(&path)
        .chain(system)
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file());
    if found.is_none() {
        eprintln!("SKIPPED: there is no {name} here (Debian: slapd, openssl)");
        let ci = std::env::var("CI").is_ok_and(|value| value == "true" || value == "1");
        assert!(!ci, "CI may skip nothing, but there is no {name}");
    }
    found
}

impl Slapd {
    /// Starts one; `None` where it is not installed.
    pub(crate) async fn start() -> Option<Self> {
        let (slapd, openssl) = (program("slapd")?, program("openssl")?);
        let directory = tempfile::tempdir().unwrap();
        certificates(&openssl, directory.path());
        fs::create_dir(directory.path().join("db")).unwrap();
        write_config(directory.path());
        // Another process may take a port before slapd does; then it ends, and others are tried.
        for _ in 0..5 {
            let ports = free_ports();
            if let Some(child) = run(&slapd, directory.path(), ports) {
                let slapd = Self {
                    directory,
                    ports,
                    child,
                };
                slapd.fill().await;
                return Some(slapd);
            }
        }
        panic!("slapd does not start");
    }

    pub(crate) fn plain(&self) -> String {
        format!("ldap://127.0.0.1:{}", self.ports[0])
    }

    pub(crate) fn tls(&self) -> String {
        format!("ldaps://127.0.0.1:{}", self.ports[1])
    }

    /// The authority that signed its certificate.
    pub(crate) fn ca(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// An authority that did not.
    pub(crate) fn other_ca(&self) -> PathBuf {
        self.directory.path().join("other-ca.pem")
    }

    pub(crate) fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again with the same ports and data.
    pub(crate) fn start_again(&mut self) {
        let slapd = program("slapd").unwrap();
        let deadline = Instant::now() + SOON;
        loop {
            // The ports may be held for a moment by whoever else was given them.
            if let Some(child) = run(&slapd, self.directory.path(), self.ports) {
                self.child = child;
                return;
            }
            assert!(Instant::now() < deadline, "slapd does not start again");
        }
    }

    pub(crate) async fn modify(&self, dn: &str, change: Mod<&str>) {
        let mut ldap = self.admin().await;
        let modified = ldap.modify(dn, vec![change]).await.unwrap();
        modified.success().unwrap();
    }

    pub(crate) async fn delete(&self, dn: &str) {
        let mut ldap = self.admin().await;
        ldap.delete(dn).await.unwrap().success().unwrap();
    }

    /// The number of entries below one, itself included: a look at what the tests rest on.
    pub(crate) async fn count(&self, base: &str) -> usize {
        let mut ldap = self.admin().await;
        let found = ldap
            .search(base, Scope::Subtree, "(objectClass=*)", ["dn"])
            .await;
        found.unwrap().success().unwrap().0.len()
    }

    /// What the directory answers to this name and password, for what they are: a result code.
    pub(crate) async fn bind(&self, dn: &str, password: &str) -> u32 {
        let (connection, mut ldap) = LdapConnAsync::new(&self.plain()).await.unwrap();
        ldap3::drive!(connection);
        ldap.simple_bind(dn, password).await.unwrap().rc
    }

    async fn admin(&self) -> ldap3::Ldap {
        let (connection, mut ldap) = LdapConnAsync::new(&self.plain()).await.unwrap();
        ldap3::drive!(connection);
        let bound = ldap.simple_bind(ADMIN, "admin").await.unwrap();
        bound.success().unwrap();
        ldap
    }

    async fn fill(&self) {
        let mut ldap = self.admin().await;
        for (dn, attributes) in ENTRIES {
            let attributes = attributes
                .iter()
                .map(|(name, values)| (*name, values.iter().copied().collect()));
            let added = ldap.add(dn, attributes.collect()).await.unwrap();
            added
                .success()
                .unwrap_or_else(|error| panic!("{dn}: {error}"));
        }
    }
}

impl Drop for Slapd {
    fn drop(&mut self) {
        // It may have been stopped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

type Entry = (
    &'static str,
    &'static [(&'static str, &'static [&'static str])],
);

const ENTRIES: &[Entry] = &[
    (
        "dc=example,dc=org",
        &[
            ("objectClass", &["dcObject", "organization"]),
            ("o", &["Example"]),
        ],
    ),
    (
        "ou=people,dc=example,dc=org",
        &[("objectClass", &["organizationalUnit"])],
    ),
    (
        "ou=groups,dc=example,dc=org",
        &[("objectClass", &["organizationalUnit"])],
    ),
    (
        "ou=elsewhere,dc=example,dc=org",
        &[("objectClass", &["organizationalUnit"])],
    ),
    (
        "cn=roadstead,dc=example,dc=org",
        &[
            (
                "objectClass",
                &["applicationProcess", "simpleSecurityObject"],
            ),
            ("userPassword", &["service"]),
        ],
    ),
    (
        "uid=ada,ou=people,dc=example,dc=org",
        &[
            ("objectClass", &["inetOrgPerson"]),
            ("cn", &["Ada"]),
            ("sn", &["Lovelace"]),
            ("userPassword", &["ada:пароль"]),
        ],
    ),
    (
        // A name with everything that a filter or a name of an entry takes for its own.
        "cn=Bob (\\2A\\2C \\5C),ou=people,dc=example,dc=org",
        &[
            ("objectClass", &["inetOrgPerson"]),
            ("uid", &["bob", "bob (*)"]),
            ("sn", &["Bob"]),
            ("userPassword", &["bob"]),
        ],
    ),
    (
        "uid=twin,ou=people,dc=example,dc=org",
        &[
            ("objectClass", &["inetOrgPerson"]),
            ("cn", &["Twin"]),
            ("sn", &["One"]),
            ("userPassword", &["twin"]),
        ],
    ),
    (
        "cn=Other Twin,ou=people,dc=example,dc=org",
        &[
            ("objectClass", &["inetOrgPerson"]),
            ("uid", &["twin"]),
            ("sn", &["Two"]),
            ("userPassword", &["twin"]),
        ],
    ),
    (
        "cn=nopassword,ou=people,dc=example,dc=org",
        &[
            ("objectClass", &["inetOrgPerson"]),
            ("uid", &["nopassword"]),
            ("sn", &["None"]),
        ],
    ),
    (
        "cn=colon,ou=people,dc=example,dc=org",
        &[
            ("objectClass", &["inetOrgPerson"]),
            ("uid", &["robot:ci"]),
            ("sn", &["Colon"]),
            ("userPassword", &["colon"]),
        ],
    ),
    (
        "cn=devs,ou=groups,dc=example,dc=org",
        &[
            ("objectClass", &["groupOfNames"]),
            (
                "member",
                &[
                    "uid=ada,ou=people,dc=example,dc=org",
                    "cn=Bob (\\2A\\2C \\5C),ou=people,dc=example,dc=org",
                ],
            ),
        ],
    ),
    (
        "cn=Ops Team,ou=groups,dc=example,dc=org",
        &[
            ("objectClass", &["groupOfNames"]),
            ("member", &["uid=ada,ou=people,dc=example,dc=org"]),
        ],
    ),
    (
        // Anybody who may write there could call a group so.
        "cn=admins,ou=elsewhere,dc=example,dc=org",
        &[
            ("objectClass", &["groupOfNames"]),
            ("member", &["uid=ada,ou=people,dc=example,dc=org"]),
        ],
    ),
];

/// Two ports that were free a moment ago.
fn free_ports() -> [u16; 2] {
    let listeners = [(), ()].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

/// Runs slapd until it answers; `None` if it ended instead.
fn run(slapd: &Path, directory: &Path, ports: [u16; 2]) -> Option<Child> {
    let log = fs::File::create(directory.join("log")).unwrap();
    let [plain, tls] = ports;
    let mut child = Command::new(slapd)
        .arg("-f")
        .arg(directory.join("slapd.conf"))
        .arg("-h")
        .arg(format!(
            "ldap://127.0.0.1:{plain}/ ldaps://127.0.0.1:{tls}/"
        ))
        // Stays in the foreground, and says what it does.
        .args(["-d", "stats"])
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    let deadline = Instant::now() + SOON;
    while Instant::now() < deadline {
        if child.try_wait().unwrap().is_some() {
            return None;
        }
        let open = |port| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        if open(plain) && open(tls) {
            return Some(child);
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    panic!(
        "slapd: {}",
        fs::read_to_string(directory.join("log")).unwrap()
    );
}

fn write_config(directory: &Path) {
    let at = directory.display();
    let text = format!(
        r#"
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
pidfile {at}/pid
argsfile {at}/args
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
# A name with an empty password succeeds as nobody's login, as some directories have it.
allow bind_anon_dn
TLSCACertificateFile {at}/ca.pem
TLSCertificateFile {at}/certificate.pem
TLSCertificateKeyFile {at}/key.pem
database mdb
suffix "{BASE}"
rootdn "{ADMIN}"
rootpw admin
directory {at}/db
maxsize 33554432
overlay memberof
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="cn=roadstead,{BASE}" read by * none
"#
    );
    fs::write(directory.join("slapd.conf"), text).unwrap();
}

/// Two authorities, and a certificate of the first for 127.0.0.1.
fn certificates(openssl: &Path, directory: &Path) {
    let run = |arguments: &[&str]| {
        let output = Command::new(openssl)
            .args(arguments)
            .current_dir(directory)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {arguments:?}: {said}");
    };
    let key = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
    ];
    for name in ["ca", "other-ca"] {
        let (key_file, file) = (format!("{name}.key"), format!("{name}.pem"));
        let subject = format!("/CN={name}");
        let own = [
            "req", "-x509", "-days", "3650", "-subj", &subject, "-keyout", &key_file,
        ];
        run(&[&own[..], &key, &["-out", &file]].concat());
    }
    let request = [
        "req",
        "-subj",
        "/CN=directory",
        "-keyout",
        "key.pem",
        "-out",
        "request.pem",
    ];
    run(&[&request[..], &key].concat());
    fs::write(directory.join("san"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    run(&[
        "x509",
        "-req",
        "-in",
        "request.pem",
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-days",
        "3650",
        "-extfile",
        "san",
        "-out",
        "certificate.pem",
    ]);
}
