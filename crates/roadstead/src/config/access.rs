//! `access`: who may do what, and the built-in token server.

use std::collections::BTreeMap;
use std::time::Duration;

use roadstead_auth::{Effect, Policy, PolicySettings, Preset, RuleSettings};

use super::cursor::Cursor;
use super::effective::{Quoted, Writer};
use super::http::Listen;
use super::{Http, duration};

/// The `access` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    /// Rules and groups.
    pub(crate) policy: PolicySettings,
    /// Whether everybody may do everything on every address: asked for a second time.
    pub(crate) open_to_all: bool,
    /// The realm of a Basic challenge. Default: `roadstead`.
    pub(crate) realm: String,
    /// The built-in token server. Default: there is one.
    pub(crate) tokens: Option<Tokens>,
}

/// `access.tokens`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tokens {
    /// The URL of the token endpoint. Default: below `http.host`; without that the challenge is
    /// Basic.
    pub(crate) realm: Option<String>,
    /// The audience of tokens. Default: the host of `http.host`.
    pub(crate) service: String,
    /// Of a token. Default: 5 minutes.
    pub(crate) lifetime: Duration,
    /// Of a refresh token. Default: 30 days.
    pub(crate) refresh_lifetime: Duration,
}

const DEFAULT_REALM: &str = "roadstead";
const DEFAULT_LIFETIME: Duration = Duration::from_secs(5 * 60);
const DEFAULT_REFRESH_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3_600);
/// A token holds its rights for as long as it lives: longer is not worth what it saves.
const MAX_LIFETIME: Duration = Duration::from_secs(3_600);
/// Clients take a shorter life for this (the token specification, `expires_in`).
const MIN_LIFETIME: Duration = Duration::from_secs(60);
const MAX_REFRESH_LIFETIME: Duration = Duration::from_secs(366 * 24 * 3_600);

/// Reads the section; none where it is not written down.
pub(crate) fn read(root: &Cursor<'_>, http: &Http) -> Option<Access> {
    let section = root.section("access");
    // What is put on record, and where documents come from, is no matter of who may do what.
    let beside = ["audit", "egress"];
    let is_beside = section.names().all(|name| beside.contains(&name));
    if !root.contains("access") || (is_beside && section.names().next().is_some()) {
        return None;
    }
    let access = Access {
        policy: PolicySettings {
            preset: preset(&section),
            rules: rules(&section),
            groups: groups(&section),
        },
        open_to_all: section.flag("opentoall", false),
        realm: section
            .text("realm")
            .unwrap_or_else(|| DEFAULT_REALM.to_owned()),
        tokens: tokens(&section.section("tokens"), http),
    };
    // A preset that there is not has been complained of already.
    if section.text("preset").is_none() && section.sections("rules").is_empty() {
        section.refuse(
            "preset",
            "without a preset and rules nobody may do anything; write preset: private for a start",
        );
    }
    if access.policy.preset == Some(Preset::Open) && !access.open_to_all && !http.listen.is_local()
    {
        section.refuse(
            "preset",
            "open lets everybody who reaches this address push and delete; where that is meant, \
             add opentoall: true",
        );
    }
    Some(access)
}

impl Access {
    /// Whether nobody is asked who they are.
    pub(crate) fn is_open(&self) -> bool {
        self.policy.preset == Some(Preset::Open) && self.policy.rules.is_empty()
    }
}

fn preset(section: &Cursor<'_>) -> Option<Preset> {
    let text = section.text("preset")?;
    let preset = Preset::parse(&text);
    if preset.is_none() {
        let known: Vec<&str> = Preset::ALL.into_iter().map(Preset::as_str).collect();
        section.refuse(
            "preset",
            &format!("expected {}, found {text}", known.join(", ")),
        );
    }
    preset
}

fn groups(section: &Cursor<'_>) -> BTreeMap<String, Vec<String>> {
    let texts = |members: Vec<super::cursor::Located>| {
        members.into_iter().map(|member| member.text).collect()
    };
    let groups = section.headers("groups").into_iter();
    groups
        .map(|(group, _, members)| (group, texts(members)))
        .collect()
}

fn rules(section: &Cursor<'_>) -> Vec<RuleSettings> {
    let sections = section.sections("rules");
    sections.iter().filter_map(rule).collect()
}

fn rule(section: &Cursor<'_>) -> Option<RuleSettings> {
    let texts = |name: &str| -> Vec<String> {
        let texts = section.texts(name).into_iter();
        texts.map(|located| located.text).collect()
    };
    let (allow, deny) = (texts("allow"), texts("deny"));
    let (effect, actions) = match (allow.is_empty(), deny.is_empty()) {
        (false, true) => (Effect::Allow, allow),
        (true, false) => (Effect::Deny, deny),
        (true, true) => {
            section.refuse("allow", "a rule needs allow or deny, with the actions");
            return None;
        }
        (false, false) => {
            section.refuse("deny", "a rule allows or denies; make two of it");
            return None;
        }
    };
    let rule = RuleSettings {
        name: section.text("name"),
        effect,
        actions,
        subjects: texts("to"),
        repositories: texts("on"),
        condition: section.text("when"),
    };
    let alone = PolicySettings {
        rules: vec![rule.clone()],
        ..PolicySettings::default()
    };
    if let Err(error) = Policy::new(&alone) {
        section.refuse("", &error.to_string());
        return None;
    }
    Some(rule)
}

fn tokens(section: &Cursor<'_>, http: &Http) -> Option<Tokens> {
    if section.flag("disabled", false) {
        return None;
    }
    let between = |name: &str, default: Duration, (least, most): (Duration, Duration)| {
        let value = section.period(name, default);
        if value < least || value > most {
            section.refuse(
                name,
                &format!(
                    "expected {} to {}",
                    duration::format(least),
                    duration::format(most)
                ),
            );
            return default;
        }
        value
    };
    let realm = section.text("realm");
    let is_url = |url: &String| {
        ["https://", "http://"].iter().any(|scheme| {
            url.strip_prefix(scheme)
                .is_some_and(|rest| !rest.is_empty())
        })
    };
    if realm.as_ref().is_some_and(|realm| !is_url(realm)) {
        section.refuse(
            "realm",
            "expected a URL: https://registry.example/auth/token",
        );
    }
    let of_host = || {
        let host = http.host.as_deref()?;
        Some(roadstead_server::token_url(host, &http.prefix))
    };
    Some(Tokens {
        realm: realm.or_else(of_host),
        service: section.text("service").unwrap_or_else(|| service(http)),
        lifetime: between("lifetime", DEFAULT_LIFETIME, (MIN_LIFETIME, MAX_LIFETIME)),
        refresh_lifetime: between(
            "refreshlifetime",
            DEFAULT_REFRESH_LIFETIME,
            (MAX_LIFETIME, MAX_REFRESH_LIFETIME),
        ),
    })
}

/// Host and port of the registry's own URL.
fn service(http: &Http) -> String {
    let host = http.host.as_deref().unwrap_or(DEFAULT_REALM);
    let rest = host.split_once("://").map_or(host, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest).to_owned()
}

impl Listen {
    /// Whether only this machine can reach it.
    fn is_local(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp { host, .. } => host.as_deref().is_some_and(|host| {
                host == "localhost"
                    || host
                        .parse::<std::net::IpAddr>()
                        .is_ok_and(|ip| ip.is_loopback())
            }),
        }
    }
}

/// Writes the section as [`read`] takes it.
pub(super) fn write(access: &Access, yaml: &mut Writer) {
    let policy = &access.policy;
    if let Some(preset) = policy.preset {
        yaml.line("preset", &preset.as_str());
    }
    yaml.line("opentoall", &access.open_to_all);
    yaml.line("realm", &Quoted(&access.realm));
    if !policy.groups.is_empty() {
        yaml.section("groups", |yaml| {
            for (group, members) in &policy.groups {
                yaml.texts(&Quoted(group).to_string(), members.iter());
            }
        });
    }
    if !policy.rules.is_empty() {
        yaml.section("rules", |yaml| {
            for rule in &policy.rules {
                write_rule(rule, yaml);
            }
        });
    }
    yaml.section("tokens", |yaml| match &access.tokens {
        None => yaml.line("disabled", &true),
        Some(tokens) => {
            if let Some(realm) = &tokens.realm {
                yaml.line("realm", &Quoted(realm));
            }
            yaml.line("service", &Quoted(&tokens.service));
            yaml.line("lifetime", &duration::format(tokens.lifetime));
            yaml.line(
                "refreshlifetime",
                &duration::format(tokens.refresh_lifetime),
            );
        }
    });
}

fn write_rule(rule: &RuleSettings, yaml: &mut Writer) {
    let effect = match rule.effect {
        Effect::Allow => "- allow",
        Effect::Deny => "- deny",
    };
    yaml.texts(effect, rule.actions.iter());
    yaml.texts("  to", rule.subjects.iter());
    yaml.texts("  on", rule.repositories.iter());
    if let Some(condition) = &rule.condition {
        yaml.line("  when", &Quoted(condition));
    }
    if let Some(name) = &rule.name {
        yaml.line("  name", &Quoted(name));
    }
}
