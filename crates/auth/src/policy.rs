//! The one place that decides who may do what.
//!
//! A request is allowed exactly when a rule that allows it matches and no rule that denies it does.
//! What no rule speaks of is denied; the order of rules means nothing, and no rule is stronger for
//! being narrower. Where a condition cannot be told, a rule that allows does not match and one that
//! denies does.

mod condition;
mod explain;
mod pattern;
mod rule;
mod subject;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};
use std::time::SystemTime;

use roadstead_oci::{Action, ActionSet, RepositoryName};

use crate::principal::{Credential, Identity, Kind, Principal};
use condition::{Facts, Told};
pub use explain::{Explanation, Question};
use pattern::Candidate;
pub use rule::{Effect, RuleError, RuleSettings};
use rule::{Label, Rule};

/// The rules in force.
#[derive(Debug)]
pub struct Policy {
    rules: Vec<Rule>,
    /// The groups of each principal. Its kind is part of the key: a directory can call a user
    /// whatever it likes.
    groups: HashMap<Kind, HashMap<String, Vec<String>>>,
}

/// Rules for what most registries are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// Everybody may pull and list; whoever is known may do everything.
    PublicRead,
    /// Whoever is known may do everything, others nothing.
    Private,
    /// Everybody may do everything.
    Open,
}

/// What a policy is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicySettings {
    /// Rules to begin with.
    pub preset: Option<Preset>,
    /// The rules beside them.
    pub rules: Vec<RuleSettings>,
    /// Groups, with the names of those who are in them: `alice`, `robot:ci`.
    pub groups: BTreeMap<String, Vec<String>>,
}

/// What somebody wants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish<'a> {
    pub(crate) principal: &'a Principal,
    pub(crate) repository: &'a RepositoryName,
    pub(crate) circumstances: Circumstances,
}

/// Where a request comes from, and when.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances {
    /// The client's address, where it has one.
    pub client: Option<IpAddr>,
    /// When it came.
    pub now: SystemTime,
}

/// What comes of a wish, and by which rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Whether it may be done.
    pub allowed: bool,
    /// What decided, in words.
    pub rule: Arc<str>,
}

impl Preset {
    /// Every preset.
    pub const ALL: [Self; 3] = [Self::PublicRead, Self::Private, Self::Open];

    /// Its name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PublicRead => "public-read",
            Self::Private => "private",
            Self::Open => "open",
        }
    }

    /// The preset of a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preset| preset.as_str() == name)
    }

    fn rules(self) -> Vec<RuleSettings> {
        let allow = |actions: &[Action], subject: &str| RuleSettings {
            name: None,
            effect: Effect::Allow,
            actions: actions
                .iter()
                .map(|action| action.as_str().to_owned())
                .collect(),
            subjects: vec![subject.to_owned()],
            repositories: vec!["**".to_owned()],
            condition: None,
        };
        let everything = [Action::Admin];
        match self {
            Self::PublicRead => vec![
                allow(&[Action::Pull, Action::List], "everyone"),
                allow(&everything, "authenticated"),
            ],
            Self::Private => vec![allow(&everything, "authenticated")],
            Self::Open => vec![allow(&everything, "everyone")],
        }
    }
}

impl Policy {
    /// Reads the rules.
    ///
    /// # Errors
    /// The first rule that cannot be understood.
    pub fn new(settings: &PolicySettings) -> Result<Self, RuleError> {
        let mut rules = Vec::new();
        if let Some(preset) = settings.preset {
            for rule in preset.rules() {
                rules.push(Rule::parse(&rule, Label::Preset(preset.as_str()))?);
            }
        }
        for (index, rule) in settings.rules.iter().enumerate() {
            rules.push(Rule::parse(rule, Label::Number(index + 1))?);
        }
        let mut groups: HashMap<Kind, HashMap<String, Vec<String>>> = HashMap::new();
        for (group, members) in &settings.groups {
            for member in members {
                let (kind, name) = Kind::of_name(member);
                let of_kind = groups.entry(kind).or_default();
                of_kind
                    .entry(name.to_owned())
                    .or_default()
                    .push(group.clone());
            }
        }
        Ok(Self { rules, groups })
    }

    /// A preset alone.
    pub(crate) fn preset(preset: Preset) -> Self {
        let settings = PolicySettings {
            preset: Some(preset),
            ..PolicySettings::default()
        };
        Self::new(&settings).unwrap_or_else(|error| {
            // Presets are read in a test of their own; without rules everything is denied.
            tracing::error!(%error, "a preset cannot be read");
            Self {
                rules: Vec::new(),
                groups: HashMap::new(),
            }
        })
    }

    /// Whether somebody may do all of this, and what decided.
    pub(crate) fn decide(&self, wish: &Wish<'_>, actions: ActionSet) -> Decision {
        let mut allowed_by = None;
        for action in actions.iter() {
            let decision = self.decide_one(wish, action);
            if !decision.allowed {
                return decision;
            }
            allowed_by = Some(decision);
        }
        allowed_by.unwrap_or_else(|| denied("nothing was asked for"))
    }

    fn decide_one(&self, wish: &Wish<'_>, action: Action) -> Decision {
        let allowed_by_token = match wish.principal.credential() {
            Credential::Token(access) if !access.covers(wish.repository, action) => {
                return denied("the token was not issued for this");
            }
            Credential::External(access) => Some(access.covers(wish.repository, action)),
            _ => None,
        };
        let mut allowed_by = match allowed_by_token {
            Some(false) => return denied("the issuer's token does not allow it"),
            Some(true) => Some(issuers_token()),
            None => None,
        };
        let by_rules = allowed_by.is_none();
        let identity = wish.principal.identity();
        let groups = self.groups_of(identity);
        let facts = Facts {
            identity,
            groups,
            repository: Some(wish.repository),
            action: action.as_str(),
            client: wish.circumstances.client,
            now: wish.circumstances.now,
            told: Told::default(),
        };
        for rule in &self.rules {
            match rule.effect() {
                Effect::Deny if rule.matches(&facts, wish.repository, action) => {
                    return Decision {
                        allowed: false,
                        rule: rule.label(),
                    };
                }
                Effect::Allow
                    if by_rules
                        && allowed_by.is_none()
                        && rule.matches(&facts, wish.repository, action) =>
                {
                    allowed_by = Some(rule.label());
                }
                _ => {}
            }
        }
        match allowed_by {
            Some(rule) => Decision {
                allowed: true,
                rule,
            },
            None => denied("no rule allows it"),
        }
    }

    /// Which of these actions somebody may do.
    pub(crate) fn permitted(&self, wish: &Wish<'_>, actions: ActionSet) -> ActionSet {
        let allowed = |action: &Action| self.decide_one(wish, *action).allowed;
        actions.iter().filter(allowed).collect()
    }

    /// Whether somebody may ask for the list of repositories, which then shows what they may list.
    pub(crate) fn decide_catalog(&self, principal: &Principal) -> Decision {
        match principal.credential() {
            Credential::Token(access) | Credential::External(access)
                if !access.covers_catalog() =>
            {
                return denied("the token was not issued for this");
            }
            Credential::External(_) => {
                return Decision {
                    allowed: true,
                    rule: issuers_token(),
                };
            }
            _ => {}
        }
        match self.listing(principal.identity()).next() {
            Some(rule) => Decision {
                allowed: true,
                rule: rule.label(),
            },
            None => denied("no rule allows it"),
        }
    }

    /// Where the next repository can be that somebody may list, after the name `after`. None: there
    /// is none.
    pub(crate) fn next_listed<'a>(
        &'a self,
        principal: &'a Principal,
        after: &'a str,
    ) -> Option<Candidate<'a>> {
        if principal.is_external() {
            return Some(Candidate::Next);
        }
        self.listing(principal.identity())
            .flat_map(Rule::repositories)
            .filter_map(|pattern| pattern.next_candidate(after))
            .min()
    }

    /// Whether somebody may do anything at all, somewhere.
    pub(crate) fn admits(&self, identity: &Identity) -> bool {
        let groups = self.groups_of(identity);
        let mut allowing = self
            .rules
            .iter()
            .filter(|rule| rule.effect() == Effect::Allow);
        allowing.any(|rule| rule.concerns(identity, groups))
    }

    /// The rules that let somebody list something.
    fn listing<'a>(&'a self, identity: &'a Identity) -> impl Iterator<Item = &'a Rule> {
        let groups = self.groups_of(identity);
        self.rules.iter().filter(move |rule| {
            rule.effect() == Effect::Allow
                && rule.actions().contains(Action::List)
                && rule.concerns(identity, groups)
        })
    }

    fn groups_of(&self, identity: &Identity) -> &[String] {
        if self.groups.is_empty() {
            return &[];
        }
        let of_kind = self.groups.get(&identity.kind);
        let groups = of_kind.and_then(|of_kind| of_kind.get(identity.short_name()));
        groups.map_or(&[], Vec::as_slice)
    }
}

/// What decides for the holders of tokens of an external issuer; said of every one of their requests.
fn issuers_token() -> Arc<str> {
    static LABEL: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from("the issuer's token"));
    Arc::clone(&LABEL)
}

fn denied(why: &str) -> Decision {
    Decision {
        allowed: false,
        rule: Arc::from(why),
    }
}
