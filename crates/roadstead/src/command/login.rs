//! `roadstead login`: a person logs in at a registry by their organisation's login, in a browser.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use roadstead_auth::{
    Allowed, DeviceClient, DeviceCode, DeviceError, EgressSettings, HttpsUrl, LoginError,
    RegistryLogin, Transport,
};

/// Where to log in, and by whom.
#[derive(Debug, Args)]
pub(crate) struct Login {
    /// The registry: HOST or HOST:PORT.
    registry: String,
    /// The address of the OpenID Connect issuer, as in the registry's access.oidc.
    #[arg(long, value_name = "URL")]
    issuer: HttpsUrl,
    /// The client at the issuer that the registry knows as access.oidc[].clientid. It must allow
    /// the device flow, and have no secret.
    #[arg(long, value_name = "ID")]
    client_id: String,
    /// A scope to ask the issuer for besides openid: groups, for example. May be given several
    /// times.
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// Certificates (PEM) of authorities that are trusted besides the system's.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Speak plain HTTP with the registry, which must be on this machine.
    #[arg(long)]
    insecure_http: bool,
}

/// Why there is no refresh token.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Issuer(#[from] DeviceError),
    #[error(transparent)]
    Registry(#[from] LoginError),
}

impl Failure {
    /// Whether somebody said no, or nobody said yes.
    fn is_refusal(&self) -> bool {
        match self {
            Self::Issuer(error) => matches!(error, DeviceError::Denied | DeviceError::Expired),
            Self::Registry(error) => error.is_refusal(),
        }
    }
}

/// Logs in, and prints the refresh token: exit code 0; 3 where the login is refused.
///
/// # Errors
/// Whatever keeps the login from being made.
pub(crate) fn run(login: Login) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let token = match runtime.block_on(token(login)) {
        Ok(token) => token,
        Err(failure) if failure.is_refusal() => {
            eprintln!("roadstead: {failure}");
            return Ok(ExitCode::from(super::NOT_WHOLE));
        }
        Err(failure) => return Err(failure.into()),
    };
    let mut stdout = io::stdout().lock();
    let written = writeln!(stdout, "{token}").and_then(|()| stdout.flush());
    written.context("the refresh token cannot be written")?;
    Ok(ExitCode::SUCCESS)
}

async fn token(login: Login) -> Result<String, Failure> {
    let egress = EgressSettings {
        allow: everywhere(),
        ca: login.ca,
    };
    let transport = match login.insecure_http {
        true => Transport::Loopback,
        false => Transport::Tls,
    };
    // First, so that nobody confirms a login that leads nowhere.
    let registry = RegistryLogin::discover(&login.registry, transport, &egress).await?;
    let issuer =
        DeviceClient::discover(&login.issuer, login.client_id, &login.scopes, &egress, None)
            .await?;
    let code = issuer.begin().await?;
    show(&code);
    let id_token = issuer.wait(&code).await?;
    let token = registry.exchange(&id_token).await?;
    eprintln!("Logged in at {}.", login.registry);
    Ok(token)
}

/// Every address: whoever types the command may go wherever they can, and it acts for nobody else.
fn everywhere() -> Vec<Allowed> {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
    vec![
        Allowed::Network(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
        Allowed::Network(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0),
    ]
}

fn show(code: &DeviceCode) {
    let uri = &code.verification_uri;
    let user_code = &code.user_code;
    eprintln!("Open {uri} in a browser and type in this code: {user_code}");
    if let Some(complete) = &code.verification_uri_complete {
        eprintln!("Or open {complete} and compare the code.");
    }
    eprintln!("Waiting until it is confirmed there …");
}
