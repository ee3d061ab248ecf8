//! What a scenario works with: a registry, a folder, its clients, and questions to the registry
//! that do not go through any client.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail, ensure};
use serde_json::Value;

use super::certificate::{self, AUTHORITY, CAPTAIN, HAND};
use super::folder::Folder;
use crate::http::{self, Answer};
use crate::registry::Registry;
use crate::tools::Tools;
use crate::users::{self, BASIC, GUEST};
use crate::{command, image};

/// The name of the registry's own certificate in the scenario's folder.
pub(crate) const CERTIFICATE: &str = "certificate.crt";
/// What kind of registry a scenario wants.
#[derive(Clone, Copy)]
pub(crate) enum Setup {
    /// Anybody may do anything, in clear text.
    Open,
    /// `USER` with `PASSWORD` may do anything, nobody else anything.
    Password,
    /// `USER` may do anything, `GUEST` pull, and others what the preset says.
    Access {
        preset: &'static str,
        /// Whether the registry knows its own URL, so that clients get tokens of it.
        tokens: bool,
    },
    /// Anybody may do anything, over TLS with the certificate `CERTIFICATE`.
    Tls,
    /// Over TLS too, and who may do what depends on the certificate that a client shows.
    Certificates,
}

/// A registry and a folder for one scenario.
pub(crate) struct Workbench<'a> {
    tools: &'a Tools,
    registry: Registry,
    folder: Folder,
}

impl<'a> Workbench<'a> {
    /// Starts a registry.
    ///
    /// # Errors
    /// Where it does not start.
    pub(crate) fn new(tools: &'a Tools, binary: &Path, setup: Setup) -> Result<Self> {
        let folder = Folder::new()?;
        let home = folder.path().join("home");
        std::fs::create_dir_all(home.join("run"))?;
        // Some clients insist that the file that they were told of exists.
        std::fs::write(home.join("auth.json"), "{}")?;
        let registry = match setup {
            Setup::Open => Registry::start(binary, "", &[])?,
            Setup::Password => Registry::start(binary, &users::passwords(folder.path())?, &[])?,
            Setup::Access { preset, tokens } => {
                let mut extra = users::passwords(folder.path())?;
                extra.push_str(&format!(
                    "access:\n  preset: {preset}\n  tokens: {{lifetime: 1m}}\n  rules:\n    \
                     - {{deny: [push, overwrite, delete], to: \"user:{GUEST}\", on: \"**\"}}\n"
                ));
                if tokens {
                    Registry::start_with_url(binary, &extra)?
                } else {
                    Registry::start(binary, &extra, &[])?
                }
            }
            Setup::Tls => {
                let (certificate, key) = make_certificate(tools, folder.path())?;
                let certificate = ("REGISTRY_HTTP_TLS_CERTIFICATE", certificate);
                let overrides = [certificate, ("REGISTRY_HTTP_TLS_KEY", key)];
                Registry::start(binary, "", &overrides)?
            }
            Setup::Certificates => {
                let (own, key) = make_certificate(tools, folder.path())?;
                let openssl = tools.path("openssl").map_err(anyhow::Error::msg)?;
                certificate::make(openssl, folder.path())?;
                let authorities = folder.path().join(format!("{AUTHORITY}.pem"));
                let authorities = PathBuf::from(format!("[{}]", authorities.display()));
                let extra = format!(
                    "access:\n  rules:\n    \
                     - {{allow: [admin], to: \"certificate:cn={CAPTAIN}\", on: \"**\"}}\n    \
                     - {{allow: [pull], to: \"certificate:cn={HAND}\", on: \"**\"}}\n"
                );
                let overrides = [
                    ("REGISTRY_HTTP_TLS_CERTIFICATE", own),
                    ("REGISTRY_HTTP_TLS_KEY", key),
                    ("REGISTRY_HTTP_TLS_CLIENTCAS", authorities),
                    (
                        "REGISTRY_HTTP_TLS_CLIENTAUTH",
                        PathBuf::from("verify-client-cert-if-given"),
                    ),
                ];
                Registry::start(binary, &extra, &overrides)?
            }
        };
        Ok(Self {
            tools,
            registry,
            folder,
        })
    }

    /// Stops the registry politely, and adds the end of its log to a failure.
    ///
    /// # Errors
    /// That of the scenario, or that the registry did not end well.
    pub(crate) fn finish(self, outcome: Result<()>) -> Result<()> {
        match outcome {
            Ok(()) => self.registry.stop(),
            Err(error) => {
                let log = self.registry.log_tail();
                bail!("{error:#}\nthe registry's log ends with\n{log}");
            }
        }
    }

    /// A command of a client, with home and all configuration below the scenario's folder.
    ///
    /// # Errors
    /// Where the program is missing, which the list of scenarios rules out.
    pub(crate) fn client(&self, program: &str) -> Result<Command> {
        let path = self.tools.path(program).map_err(anyhow::Error::msg)?;
        Ok(self.at_home(path))
    }

    /// The same for a program by its path.
    pub(crate) fn at_home(&self, path: &Path) -> Command {
        let home = self.path("home");
        let mut command = Command::new(path);
        command
            .current_dir(self.folder.path())
            .env("HOME", &home)
            .env("XDG_CONFIG_HOME", home.join("config"))
            .env("XDG_DATA_HOME", home.join("data"))
            .env("XDG_CACHE_HOME", home.join("cache"))
            .env("XDG_RUNTIME_DIR", home.join("run"))
            .env("DOCKER_CONFIG", home.join("docker"))
            .env("REGISTRY_AUTH_FILE", home.join("auth.json"))
            .env("REGCTL_CONFIG", home.join("regctl.json"))
            .env("TMPDIR", self.folder.path());
        command
    }

    /// A path in the scenario's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The registry under test.
    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// `127.0.0.1:<port>`.
    pub(crate) fn host(&self) -> String {
        self.registry.address().to_string()
    }

    /// `127.0.0.1:<port>/<rest>`.
    pub(crate) fn at(&self, rest: &str) -> String {
        format!("{}/{rest}", self.registry.address())
    }

    /// Asks the registry without any client.
    ///
    /// # Errors
    /// Where there is no answer.
    pub(crate) fn ask(&self, method: &str, path: &str) -> Result<Answer> {
        http::request(self.registry.address(), method, path)
    }

    /// The status that `USER` gets for a path.
    ///
    /// # Errors
    /// Where there is no answer.
    pub(crate) fn status_for_user(&self, path: &str) -> Result<u16> {
        let authorization = format!("Basic {BASIC}");
        let headers = [("Authorization", authorization.as_str())];
        let answer = http::exchange(self.registry.address(), "GET", path, &headers, None)?;
        Ok(answer.status)
    }

    /// Checks which digest a tag has: by the header, and by hashing what is served.
    ///
    /// # Errors
    /// Where it is another, or the tag is not there.
    pub(crate) fn expect_digest(&self, repository: &str, tag: &str, digest: &str) -> Result<()> {
        let answer = self.ask("GET", &format!("/v2/{repository}/manifests/{tag}"))?;
        ensure!(
            answer.status == 200,
            "{repository}:{tag} answers {}",
            answer.status
        );
        let said = answer.header("Docker-Content-Digest").unwrap_or("nothing");
        ensure!(
            said == digest,
            "{repository}:{tag} is {said}, expected {digest}"
        );
        let served = image::digest(&answer.body);
        ensure!(
            served == digest,
            "{repository}:{tag} serves {served}, expected {digest}"
        );
        Ok(())
    }

    /// The digest that a tag has.
    ///
    /// # Errors
    /// Where the tag is not there.
    pub(crate) fn digest(&self, repository: &str, tag: &str) -> Result<String> {
        let answer = self.ask("GET", &format!("/v2/{repository}/manifests/{tag}"))?;
        ensure!(
            answer.status == 200,
            "{repository}:{tag} answers {}",
            answer.status
        );
        Ok(image::digest(&answer.body))
    }

    /// Checks that a tag or digest is not there.
    ///
    /// # Errors
    /// Where it is.
    pub(crate) fn expect_gone(&self, repository: &str, reference: &str) -> Result<()> {
        let answer = self.ask("GET", &format!("/v2/{repository}/manifests/{reference}"))?;
        ensure!(
            answer.status == 404,
            "{repository}:{reference} answers {}",
            answer.status
        );
        Ok(())
    }

    /// Checks all tags of a repository.
    ///
    /// # Errors
    /// Where they are others.
    pub(crate) fn expect_tags(&self, repository: &str, tags: &[&str]) -> Result<()> {
        let answer = self.ask("GET", &format!("/v2/{repository}/tags/list"))?;
        let list: Value = serde_json::from_slice(&answer.body)?;
        let found: Vec<&str> = list["tags"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        ensure!(
            found == tags,
            "{repository} has the tags {found:?}, expected {tags:?}"
        );
        Ok(())
    }
}

/// Makes a certificate for the loopback address that vouches for itself; returns it and its key.
fn make_certificate(tools: &Tools, folder: &Path) -> Result<(PathBuf, PathBuf)> {
    let (certificate, key) = (folder.join(CERTIFICATE), folder.join("certificate.key"));
    let openssl = tools.path("openssl").map_err(anyhow::Error::msg)?;
    command::capture(
        Command::new(openssl)
            .args([
                "req",
                "-x509",
                "-nodes",
                "-days",
                "2",
                "-subj",
                "/CN=127.0.0.1",
            ])
            .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
            .args(["-addext", "subjectAltName=IP:127.0.0.1"])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate),
    )?;
    Ok((certificate, key))
}

/// Checks that a client named everything that it should have.
///
/// # Errors
/// Names the first part that is missing.
pub(crate) fn expect_all(said: &str, parts: &[&str]) -> Result<()> {
    for part in parts {
        if !said.contains(part) {
            bail!("`{part}` is missing in what the client said:\n{said}");
        }
    }
    Ok(())
}
