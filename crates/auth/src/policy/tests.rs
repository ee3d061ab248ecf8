use super::*;
use crate::principal::Kind;
use crate::scope::Scope;

fn rule(effect: Effect, actions: &str, to: &str, on: &str) -> RuleSettings {
    let list = |text: &str| text.split(',').map(str::to_owned).collect();
    RuleSettings {
        name: None,
        effect,
        actions: list(actions),
        subjects: list(to),
        repositories: list(on),
        condition: None,
    }
}

fn policy(preset: Option<Preset>, rules: Vec<RuleSettings>) -> Policy {
    let groups = BTreeMap::from([("dev".to_owned(), vec!["bob".to_owned()])]);
    Policy::new(&PolicySettings {
        preset,
        rules,
        groups,
    })
    .unwrap()
}

fn own(identity: Identity) -> Principal {
    Principal::new(identity, Credential::Own)
}

fn circumstances() -> Circumstances {
    Circumstances {
        client: None,
        now: SystemTime::now(),
    }
}

fn decide(policy: &Policy, principal: &Principal, repository: &str, action: Action) -> Decision {
    let repository = RepositoryName::parse(repository).unwrap();
    let wish = Wish {
        principal,
        repository: &repository,
        circumstances: circumstances(),
    };
    policy.decide(&wish, ActionSet::NONE.with(action))
}

fn may(policy: &Policy, principal: &Principal, repository: &str, action: Action) -> bool {
    decide(policy, principal, repository, action).allowed
}

#[test]
fn presets_are_what_their_names_say() {
    let (alice, nobody) = (own(Identity::user("alice")), Principal::anonymous());
    for (preset, of_nobody) in [
        (Preset::PublicRead, vec![Action::Pull, Action::List]),
        (Preset::Private, vec![]),
        (Preset::Open, Action::ALL.to_vec()),
    ] {
        let policy = Policy::preset(preset);
        for action in Action::ALL {
            assert!(may(&policy, &alice, "team/app", action), "{preset:?}");
            let nobody = may(&policy, &nobody, "team/app", action);
            assert_eq!(nobody, of_nobody.contains(&action), "{preset:?} {action:?}");
        }
        let nobody = Principal::anonymous();
        assert_eq!(
            policy.decide_catalog(&nobody).allowed,
            !of_nobody.is_empty()
        );
        assert_eq!(policy.admits(nobody.identity()), !of_nobody.is_empty());
        assert_eq!(Preset::parse(preset.as_str()), Some(preset));
    }
}

#[test]
fn what_no_rule_allows_is_denied_and_a_denial_beats_every_allowance() {
    let policy = policy(
        None,
        vec![
            rule(Effect::Deny, "delete,overwrite", "everyone", "prod/**"),
            rule(Effect::Allow, "pull,push", "group:dev", "team/**,prod/**"),
            rule(Effect::Allow, "admin", "user:root", "**"),
            rule(Effect::Deny, "admin", "user:mallory", "**"),
            rule(Effect::Allow, "pull", "user:mallory", "team/app"),
        ],
    );
    let (bob, root) = (own(Identity::user("bob")), own(Identity::user("root")));
    let carol = own(Identity::user("carol").in_groups(vec!["dev".to_owned()]));
    let mallory = own(Identity::user("mallory"));
    let robot = own(Identity::new(Kind::Robot, "bob"));
    for (principal, repository, action, allowed, by) in [
        (&bob, "team/app", Action::Push, true, "rule 2: allow"),
        (&carol, "team/app", Action::Push, true, "rule 2"),
        (&robot, "team/app", Action::Push, false, "no rule allows it"),
        (&bob, "team/app", Action::Overwrite, false, "no rule"),
        (&bob, "other/app", Action::Pull, false, "no rule"),
        (&root, "team/app", Action::Delete, true, "rule 3"),
        (&root, "prod/app", Action::Push, true, "rule 3"),
        (&root, "prod/app", Action::Delete, false, "rule 1: deny"),
        (&mallory, "team/app", Action::Pull, false, "rule 4"),
    ] {
        let decision = decide(&policy, principal, repository, action);
        assert_eq!(decision.allowed, allowed, "{repository} {action:?}");
        assert!(decision.rule.starts_with(by), "{}", decision.rule);
    }
}

/// What a directory or an issuer calls somebody gives them nothing of anybody else.
#[test]
fn a_name_counts_for_its_own_kind_alone() {
    let groups = ["alice", "robot:ci", "oidc:corp/eve"].map(str::to_owned);
    let policy = Policy::new(&PolicySettings {
        preset: None,
        rules: vec![rule(Effect::Allow, "pull", "group:dev", "**")],
        groups: BTreeMap::from([("dev".to_owned(), groups.to_vec())]),
    })
    .unwrap();
    for (identity, allowed) in [
        (Identity::user("alice"), true),
        (Identity::new(Kind::Robot, "ci"), true),
        (Identity::new(Kind::Oidc, "corp/eve"), true),
        (Identity::user("robot:ci"), false),
        (Identity::user("oidc:corp/eve"), false),
        (Identity::new(Kind::Robot, "alice"), false),
        (Identity::new(Kind::Certificate, "alice"), false),
    ] {
        let name = identity.name.to_string();
        assert_eq!(
            may(&policy, &own(identity), "app", Action::Pull),
            allowed,
            "{name}"
        );
    }
}

#[test]
fn a_condition_that_cannot_be_told_neither_allows_nor_lets_through() {
    let with = |effect| RuleSettings {
        condition: Some("claims.ref == 'main'".to_owned()),
        ..rule(effect, "pull", "everyone", "**")
    };
    let allowing = policy(None, vec![with(Effect::Allow)]);
    let denying = policy(Some(Preset::Open), vec![with(Effect::Deny)]);
    let job = |reference: &str| {
        let claims = serde_json::json!({"ref": reference});
        let claims = claims.as_object().unwrap().clone();
        own(Identity::new(Kind::Oidc, "a/b").with_claims(claims))
    };
    for (principal, allowed, let_through) in [
        (job("main"), true, false),
        (job("other"), false, true),
        (own(Identity::user("alice")), false, false),
    ] {
        assert_eq!(may(&allowing, &principal, "app", Action::Pull), allowed);
        assert_eq!(may(&denying, &principal, "app", Action::Pull), let_through);
    }
}

#[test]
fn a_token_narrows_what_rules_allow_and_an_issuers_token_stands_in_for_them() {
    let policy = policy(
        None,
        vec![
            rule(
                Effect::Allow,
                "pull,push,overwrite,list",
                "user:alice",
                "team/**",
            ),
            rule(Effect::Deny, "push", "everyone", "team/frozen"),
        ],
    );
    let scopes = "repository:team/app:pull repository:team/frozen:push repository:x:pull,push";
    let access = || Scope::parse_all([scopes].into_iter()).into_iter().collect();
    let ours = Principal::new(Identity::user("alice"), Credential::Token(access()));
    let theirs = Principal::new(Identity::user("zoe"), Credential::External(access()));
    for (repository, action, by_ours, by_theirs) in [
        ("team/app", Action::Pull, true, true),
        ("team/app", Action::Push, false, false),
        ("team/frozen", Action::Push, false, false),
        ("x", Action::Pull, false, true),
        ("x", Action::Overwrite, false, true),
        ("x", Action::Delete, false, false),
        ("team/other", Action::Pull, false, false),
    ] {
        assert_eq!(may(&policy, &ours, repository, action), by_ours);
        assert_eq!(may(&policy, &theirs, repository, action), by_theirs);
    }
    assert!(!policy.decide_catalog(&ours).allowed);
    assert!(!policy.decide_catalog(&theirs).allowed);
}

#[test]
fn the_catalog_looks_only_where_somebody_may_list() {
    let policy = policy(
        None,
        vec![
            rule(Effect::Allow, "list", "user:alice", "team/**,app"),
            rule(Effect::Allow, "pull", "user:alice", "**"),
        ],
    );
    let alice = own(Identity::user("alice"));
    for (after, candidate) in [
        ("", Some(Candidate::From("app"))),
        ("app", Some(Candidate::Next)),
        ("b", Some(Candidate::From("team/"))),
        ("team/app", Some(Candidate::Next)),
        ("zoo", None),
    ] {
        assert_eq!(policy.next_listed(&alice, after), candidate, "{after}");
    }
    assert!(!policy.decide_catalog(&own(Identity::user("bob"))).allowed);
}

#[test]
fn rules_that_say_too_little_or_something_else_are_refused() {
    for (actions, to, on) in [
        ("", "everyone", "**"),
        ("pull", "", "**"),
        ("pull", "everyone", ""),
        ("fly", "everyone", "**"),
        ("pull", "alice", "**"),
        ("pull", "everyone", "a/["),
    ] {
        let mut settings = rule(Effect::Allow, actions, to, on);
        for list in [
            &mut settings.actions,
            &mut settings.subjects,
            &mut settings.repositories,
        ] {
            list.retain(|text| !text.is_empty());
        }
        let settings = PolicySettings {
            rules: vec![settings],
            ..PolicySettings::default()
        };
        assert!(Policy::new(&settings).is_err(), "{actions} {to} {on}");
    }
}
