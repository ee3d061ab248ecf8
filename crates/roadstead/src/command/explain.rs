//! `roadstead auth explain`: what the policy says, and which rule says it.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use roadstead_auth::Question;
use roadstead_metadata::{AccountKind, AccountStore};
use roadstead_oci::{Action, RepositoryName};
use serde_json::{Map, Value};

use crate::config::{Driver, Settings};
use crate::{config, wire};

/// Who would do what.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// Who would ask: alice, robot:ci, oidc:ISSUER/NAME, certificate:NAME or anonymous.
    #[arg(long = "as", value_name = "WHO")]
    who: String,
    /// The repository.
    #[arg(long)]
    repository: String,
    /// pull, push, overwrite, delete, list or admin.
    #[arg(long)]
    action: String,
    /// A group that a directory or an identity provider would say. May be given several times.
    #[arg(long, value_name = "GROUP")]
    group: Vec<String>,
    /// A claim of a token. May be given several times; a VALUE that is JSON is taken as such.
    #[arg(long, value_name = "NAME=VALUE")]
    claim: Vec<String>,
    /// The client's address.
    #[arg(long)]
    address: Option<IpAddr>,
    /// The configuration file. Without it: the file that REGISTRY_CONFIGURATION_PATH names.
    config: Option<PathBuf>,
}

/// Prints the decision and what made it: exit code 0 for allowed, 3 for denied.
///
/// # Errors
/// A configuration that cannot be used, and a question that is none.
pub(crate) fn run(explain: Explain) -> anyhow::Result<ExitCode> {
    let variables = super::variables();
    let path = super::config_path(explain.config, &variables);
    let settings = config::load(path.as_deref(), &variables)?.settings;
    let question = Question {
        repository: RepositoryName::parse(&explain.repository)
            .with_context(|| format!("{} is no name of a repository", explain.repository))?,
        action: Action::parse(&explain.action).with_context(|| {
            format!(
                "{} is no action; actions are pull, push, overwrite, delete, list and admin",
                explain.action
            )
        })?,
        groups: explain.group,
        claims: claims(&explain.claim)?,
        client: explain.address,
        who: explain.who,
    };
    let question = Question {
        groups: [
            groups_of_account(&settings, &question.who)?,
            question.groups,
        ]
        .concat(),
        ..question
    };
    let explanation = wire::policy(&settings)?.explain(&question);
    let decision = &explanation.decision;
    let verdict = match decision.allowed {
        true => "allowed",
        false => "denied",
    };
    println!(
        "{verdict}: {} {} {}",
        question.who,
        question.action.as_str(),
        question.repository
    );
    println!("by: {}", decision.rule);
    if !explanation.groups.is_empty() {
        println!("in groups: {}", explanation.groups.join(", "));
    }
    Ok(match decision.allowed {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(super::NOT_WHOLE),
    })
}

/// The groups of a local user or robot; none for anybody else, and before the first start.
fn groups_of_account(settings: &Settings, who: &str) -> anyhow::Result<Vec<String>> {
    let Driver::Filesystem { database, .. } = &settings.storage.driver else {
        return Ok(Vec::new());
    };
    if settings.access.is_none() || !database.exists() {
        return Ok(Vec::new());
    }
    let (kind, name) = match who.split_once(':') {
        None => (AccountKind::User, who),
        Some(("user", name)) => (AccountKind::User, name),
        Some(("robot", name)) => (AccountKind::Robot, name),
        Some(_) => return Ok(Vec::new()),
    };
    let store = AccountStore::open(database)?;
    let account = store.find(kind, name)?;
    Ok(account.map(|account| account.groups).unwrap_or_default())
}

fn claims(pairs: &[String]) -> anyhow::Result<Map<String, Value>> {
    let claim = |pair: &String| {
        let (name, value) = pair
            .split_once('=')
            .with_context(|| format!("{pair}: a claim is written NAME=VALUE"))?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        Ok((name.to_owned(), value))
    };
    pairs.iter().map(claim).collect()
}
