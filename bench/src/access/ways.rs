//! The ways to come in: a server for each kind of configuration, and credentials that it takes.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::rc::Rc;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

use super::issuer;
use crate::content::{Content, REPOSITORY};
use crate::http::{Certificate, Client, run_openssl};
use crate::peer::{Contestant, Peer, Setup, config_file};

/// Who is known by name.
const USER: &str = "alice";
const PASSWORD: &str = "correct horse";
/// Of the built-in token server.
const SERVICE: &str = "bench";
/// Of a policy.
const RULES: usize = 50;
/// What `htpasswd -B` and most programs take.
const COST: u32 = 10;
/// Users who have not been here before.
pub(super) const STRANGERS: usize = 24;

/// The references, which are no cases.
const OPEN: &str = "open";
const OPEN_TLS: &str = "open, TLS";

/// One way.
pub(super) struct Way {
    /// Of its case.
    pub(super) name: &'static str,
    pub(super) peer: Rc<Peer>,
    /// The header's value.
    pub(super) authorization: Option<String>,
}

impl Way {
    pub(super) fn is_reference(&self) -> bool {
        [OPEN, OPEN_TLS].contains(&self.name)
    }

    /// The name of the way that this one is held against.
    pub(super) fn reference(&self) -> &'static str {
        match self.peer.target.tls {
            Some(_) => OPEN_TLS,
            None => OPEN,
        }
    }
}

/// All of them.
pub(super) struct Ways {
    pub(super) all: Vec<Way>,
    by_name: ByName,
}

/// The server that knows people by name, and what they need for it.
pub(super) struct ByName {
    pub(super) peer: Rc<Peer>,
    /// A token's header.
    pub(super) token: String,
}

impl Ways {
    /// Starts the servers and gives each its content.
    ///
    /// # Errors
    /// A server that does not start or does not take the content.
    pub(super) async fn start(roadstead: &Contestant, directory: &Path) -> Result<Self> {
        let content = Content::new(0);
        let served = async |sections: &Value, tls: Option<&Certificate>, by: Option<&str>| {
            let empty = Map::new();
            let setup = Setup {
                tls,
                large: None,
                sections: Some(sections.as_object().unwrap_or(&empty)),
            };
            let peer = Peer::start(roadstead, directory, setup).await?;
            peer.load_as(by, &content, false).await?;
            anyhow::Ok(Rc::new(peer))
        };
        let mut all = Vec::new();
        let mut way = |name, peer: &Rc<Peer>, authorization: Option<&String>| {
            all.push(Way {
                name,
                peer: Rc::clone(peer),
                authorization: authorization.cloned(),
            });
        };

        let open = served(&json!({}), None, None).await?;
        way(OPEN, &open, None);

        let file = directory.join("htpasswd");
        let mut lines = vec![bcrypt_line(USER, PASSWORD, COST)?];
        for number in 0..STRANGERS {
            lines.push(bcrypt_line(&stranger(number), PASSWORD, COST)?);
        }
        std::fs::write(&file, lines.concat())?;
        let alice = basic(USER, PASSWORD);
        let known = served(
            &by_name(&file, json!({"preset": "private"})),
            None,
            Some(&alice),
        )
        .await?;
        let token = token(&known, &alice).await?;
        let robot = account(
            roadstead,
            known.directory(),
            &["robot", "create"],
            "bench",
            "",
        )?;
        way("access-basic", &known, Some(&alice));
        way("access-token", &known, Some(&token));
        way("access-robot", &known, Some(&basic("bench", &robot)));

        let issuer = issuer::Issuer::make(directory, REPOSITORY)?;
        let external = served(&issuer.sections, None, Some(&issuer.authorization)).await?;
        way("access-external", &external, Some(&issuer.authorization));

        for (name, rules) in [
            ("access-rules", teams()),
            ("access-conditions", conditions()),
        ] {
            let sections = by_name(&file, json!({ "rules": rules }));
            let peer = served(&sections, None, Some(&alice)).await?;
            let token = self::token(&peer, &alice).await?;
            way(name, &peer, Some(&token));
        }

        let certificate = Certificate::make(directory)?;
        let open = served(&json!({}), Some(&certificate), None).await?;
        way(OPEN_TLS, &open, None);
        let client = client_certificate(directory)?;
        let shown = certificate.showing(&client.certificate, &client.key)?;
        let sections = json!({
            "http": { "tls": { "clientcas": [client.authority] } },
            "access": { "preset": "private" },
        });
        let holders = served(&sections, Some(&shown), None).await?;
        way("access-certificate", &holders, None);

        Ok(Self {
            all,
            by_name: ByName { peer: known, token },
        })
    }

    pub(super) fn by_name(&self) -> &ByName {
        &self.by_name
    }
}

/// A user of the file who has not logged in yet.
pub(super) fn stranger(number: usize) -> String {
    format!("stranger-{number}")
}

/// The credentials of a stranger.
pub(super) fn of_stranger(number: usize) -> String {
    basic(&stranger(number), PASSWORD)
}

fn by_name(file: &Path, mut access: Value) -> Value {
    if let Some(access) = access.as_object_mut() {
        let tokens = json!({
            "realm": "https://registry.example/auth/token",
            "service": SERVICE,
            "lifetime": "1h",
        });
        access.insert("tokens".to_owned(), tokens);
    }
    json!({
        "auth": { "htpasswd": { "realm": "bench", "path": file } },
        "access": access,
    })
}

/// Rules for as many teams, each with a condition; the last is that of this repository's.
fn teams() -> Vec<Value> {
    let rule = |number: usize| {
        let (who, what) = match number {
            RULES => (format!("user:{USER}"), "bench/**".to_owned()),
            _ => (format!("group:team-{number}"), format!("team-{number}/**")),
        };
        json!({
            "allow": ["pull", "push", "overwrite"],
            "to": who,
            "on": what,
            "when": "within(address, '127.0.0.0/8') && time.hour < 24",
        })
    };
    (1..=RULES).map(rule).collect()
}

/// Rules that all are about the one who asks and what is asked for; the last condition holds.
fn conditions() -> Vec<Value> {
    let rule = |number: usize| {
        let condition = match number {
            RULES => "within(address, '127.0.0.0/8') && time.hour < 24".to_owned(),
            _ => format!("user == 'user-{number}' && within(address, '10.0.{number}.0/24')"),
        };
        json!({
            "allow": ["pull", "push", "overwrite"],
            "to": "authenticated",
            "on": "bench/**",
            "when": condition,
        })
    };
    (1..=RULES).map(rule).collect()
}

/// A line of an htpasswd file.
///
/// # Errors
/// Of the hash.
pub(crate) fn bcrypt_line(user: &str, password: &str, cost: u32) -> Result<String> {
    Ok(format!("{user}:{}\n", bcrypt::hash(password, cost)?))
}

/// The value of an `Authorization` header.
pub(crate) fn basic(user: &str, password: &str) -> String {
    format!(
        "Basic {}",
        BASE64_STANDARD.encode(format!("{user}:{password}"))
    )
}

/// Runs a command about an account of the server in this directory; what it prints.
///
/// # Errors
/// A command that fails.
pub(crate) fn account(
    roadstead: &Contestant,
    directory: &Path,
    words: &[&str],
    name: &str,
    password: &str,
) -> Result<String> {
    let mut command = Command::new(&roadstead.program);
    command.args(words).arg(config_file(directory)).arg(name);
    if !password.is_empty() {
        command.arg("--password-stdin");
    }
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(password.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{words:?} {name}: {said}");
    Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
}

/// The header with a token of the built-in token server.
async fn token(peer: &Peer, authorization: &str) -> Result<String> {
    let mut client = Client::connect(&peer.target)
        .await?
        .with(Some(authorization));
    let line = format!("GET /auth/token?service={SERVICE}&scope=repository:{REPOSITORY}:pull");
    let answer = client.expect(200, &line, &[], &[]).await?;
    let answer: Value = serde_json::from_slice(&answer.body)?;
    let token = answer.get("token").and_then(Value::as_str);
    Ok(format!(
        "Bearer {}",
        token.context("an answer without a token")?
    ))
}

/// PEM files.
struct ClientCertificate {
    authority: std::path::PathBuf,
    certificate: std::path::PathBuf,
    key: std::path::PathBuf,
}

/// A certificate of a client and its authority, by `openssl`.
fn client_certificate(directory: &Path) -> Result<ClientCertificate> {
    let [authority, authority_key, certificate, key, request] = [
        "clients.pem",
        "clients.key",
        "client.pem",
        "client.key",
        "client.csr",
    ]
    .map(|name| directory.join(name));
    let [
        authority_text,
        authority_key_text,
        certificate_text,
        key_text,
        request_text,
    ] = [&authority, &authority_key, &certificate, &key, &request]
        .map(|path| path.to_string_lossy().into_owned());
    let curve = "ec_paramgen_curve:prime256v1";
    let extension = directory.join("client.ext");
    std::fs::write(
        &extension,
        "extendedKeyUsage=clientAuth\nbasicConstraints=CA:FALSE\n",
    )?;
    let extension = extension.to_string_lossy().into_owned();
    let steps: [&[&str]; 3] = [
        &[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            curve,
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=clients",
            "-out",
            &authority_text,
            "-keyout",
            &authority_key_text,
        ],
        &[
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            curve,
            "-nodes",
            "-subj",
            "/CN=cluster-a",
            "-out",
            &request_text,
            "-keyout",
            &key_text,
        ],
        &[
            "x509",
            "-req",
            "-in",
            &request_text,
            "-CA",
            &authority_text,
            "-CAkey",
            &authority_key_text,
            "-set_serial",
            "2",
            "-days",
            "2",
            "-extfile",
            &extension,
            "-out",
            &certificate_text,
        ],
    ];
    for step in steps {
        run_openssl(Command::new("openssl").args(step))?;
    }
    Ok(ClientCertificate {
        authority,
        certificate,
        key,
    })
}
