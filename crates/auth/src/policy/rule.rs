//! One rule.

use std::sync::Arc;

use roadstead_oci::{Action, ActionSet, RepositoryName};

use super::condition::{Condition, Facts};
use super::pattern::RepositoryPattern;
use super::subject::Subject;
use crate::principal::Identity;

/// What a rule is made of, as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSettings {
    /// What it is called in logs and explanations.
    pub name: Option<String>,
    /// What it does.
    pub effect: Effect,
    /// The names of actions.
    pub actions: Vec<String>,
    /// To whom it applies.
    pub subjects: Vec<String>,
    /// The repositories' patterns.
    pub repositories: Vec<String>,
    /// A condition in CEL.
    pub condition: Option<String>,
}

/// What a rule does with what it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It allows it.
    Allow,
    /// It denies it, whatever else allows it.
    Deny,
}

/// Why a rule cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// An action that there is not.
    #[error("{text:?} is no action; actions are pull, push, overwrite, delete, list and admin")]
    Action {
        /// As it is written.
        text: String,
    },
    /// A subject of no form.
    #[error("{text:?} is no subject; {forms}")]
    Subject {
        /// As it is written.
        text: String,
        /// The forms.
        forms: &'static str,
    },
    /// A pattern that is none.
    #[error("{text:?} is no pattern: {why}")]
    Pattern {
        /// As it is written.
        text: String,
        /// Why not.
        why: String,
    },
    /// A condition that is none.
    #[error("the condition {text:?} cannot be read: {why}")]
    Condition {
        /// As it is written.
        text: String,
        /// Why not.
        why: String,
    },
    /// A part that is missing.
    #[error("a rule needs {0}")]
    Missing(&'static str),
}

/// Where a rule stands.
#[derive(Debug, Clone, Copy)]
pub(super) enum Label {
    Preset(&'static str),
    /// Counted from 1.
    Number(usize),
}

#[derive(Debug)]
pub(super) struct Rule {
    effect: Effect,
    actions: ActionSet,
    subjects: Vec<Subject>,
    repositories: Vec<RepositoryPattern>,
    condition: Option<Condition>,
    label: Arc<str>,
}

impl Rule {
    pub(super) fn parse(settings: &RuleSettings, label: Label) -> Result<Self, RuleError> {
        for (list, what) in [
            (&settings.actions, "an action"),
            (&settings.subjects, "a subject (to)"),
            (&settings.repositories, "a repository pattern (on)"),
        ] {
            if list.is_empty() {
                return Err(RuleError::Missing(what));
            }
        }
        let mut actions = ActionSet::NONE;
        for text in &settings.actions {
            let action =
                Action::parse(text).ok_or_else(|| RuleError::Action { text: text.clone() })?;
            actions = actions.with(action);
        }
        if actions.contains(Action::Admin) {
            actions = ActionSet::ALL;
        }
        let subjects = settings.subjects.iter().map(|text| Subject::parse(text));
        let repositories = settings.repositories.iter();
        let repositories = repositories.map(|text| RepositoryPattern::parse(text));
        let condition = settings.condition.as_deref().map(Condition::parse);
        Ok(Self {
            effect: settings.effect,
            actions,
            subjects: subjects.collect::<Result<_, _>>()?,
            repositories: repositories.collect::<Result<_, _>>()?,
            condition: condition.transpose()?,
            label: describe(settings, label),
        })
    }

    pub(super) fn effect(&self) -> Effect {
        self.effect
    }

    pub(super) fn actions(&self) -> ActionSet {
        self.actions
    }

    pub(super) fn repositories(&self) -> &[RepositoryPattern] {
        &self.repositories
    }

    pub(super) fn label(&self) -> Arc<str> {
        Arc::clone(&self.label)
    }

    /// Whether the rule is about somebody, whatever they want.
    pub(super) fn concerns(&self, identity: &Identity, groups: &[String]) -> bool {
        let mut subjects = self.subjects.iter();
        subjects.any(|subject| subject.matches(identity, groups))
    }

    /// Whether the rule speaks of this.
    pub(super) fn matches(
        &self,
        facts: &Facts<'_>,
        repository: &RepositoryName,
        action: Action,
    ) -> bool {
        self.actions.contains(action)
            && self
                .repositories
                .iter()
                .any(|pattern| pattern.matches(repository))
            && self.concerns(facts.identity, facts.groups)
            && self.condition_holds(facts)
    }

    fn condition_holds(&self, facts: &Facts<'_>) -> bool {
        let Some(condition) = &self.condition else {
            return true;
        };
        condition.holds(facts).unwrap_or_else(|error| {
            tracing::debug!(rule = %self.label, error, "a condition cannot be told");
            self.effect == Effect::Deny
        })
    }
}

fn describe(settings: &RuleSettings, label: Label) -> Arc<str> {
    let place = match (label, &settings.name) {
        (Label::Preset(name), _) => format!("preset {name}"),
        (Label::Number(number), None) => format!("rule {number}"),
        (Label::Number(number), Some(name)) => format!("rule {number} {name:?}"),
    };
    let effect = match settings.effect {
        Effect::Allow => "allow",
        Effect::Deny => "deny",
    };
    let condition = match &settings.condition {
        Some(condition) => format!(" when {condition}"),
        None => String::new(),
    };
    format!(
        "{place}: {effect} {} to {} on {}{condition}",
        settings.actions.join(","),
        settings.subjects.join(","),
        settings.repositories.join(",")
    )
    .into()
}
