use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use proptest::prelude::*;
use roadstead_metadata::{
    AccountChange, AccountKind, Accounts as _, Horizons, MemoryMetadata, NewAccount, PasswordHash,
    SystemClock,
};

use super::*;
use crate::ApiKey;
use crate::issuer::IssuerSettings;
use crate::oidc::OidcIssuers;
use crate::policy::PolicySettings;
use crate::principal::Kind;
use crate::scope::{Access, Scope};
use crate::token_server::{TokenGrant, TokenRequest};

/// A registry's authority with users of a file, the passwords of whom are their names.
struct Fixture {
    authoriser: Authoriser,
    metadata: Meta,
    directory: tempfile::TempDir,
}

fn metadata() -> Meta {
    Meta::Memory(MemoryMetadata::new(
        Horizons::default(),
        Arc::new(SystemClock),
    ))
}

impl Fixture {
    async fn new(preset: Preset, users: &[&str], realm: Option<&str>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        write_users(directory.path(), users);
        let setup = Setup {
            policy: Policy::new(&PolicySettings {
                preset: Some(preset),
                rules: Vec::new(),
                groups: BTreeMap::new(),
            })
            .unwrap(),
            realm: "a \"realm\"".to_owned(),
            htpasswd: Some(directory.path().join("htpasswd")),
            external: None,
            silly: None,
            oidc: OidcIssuers::default(),
            ldap: None,
            accounts: true,
            certificates: true,
            issuer: Some(IssuerSettings {
                realm: realm.map(str::to_owned),
                service: "registry.example".to_owned(),
                lifetime: Duration::from_secs(300),
                refresh_lifetime: Duration::from_secs(3_600),
            }),
        };
        let metadata = metadata();
        Self {
            authoriser: Authoriser::new(setup, metadata.clone()).await.unwrap(),
            metadata,
            directory,
        }
    }

    async fn who(&self, authorization: Option<&[u8]>) -> Result<Principal, Refusal> {
        let presented = Presented {
            authorization,
            certificate: None,
            client: None,
        };
        self.authoriser.authenticate(&presented).await
    }

    fn may(&self, principal: &Principal, actions: ActionSet) -> Result<Grant, Refusal> {
        let repository = RepositoryName::parse("team/app").unwrap();
        let granted = self.authoriser.authorise(
            principal,
            &repository,
            actions,
            ActionSet::NONE,
            Circumstances {
                client: None,
                now: SystemTime::now(),
            },
        );
        granted.map(|granted| granted.grant)
    }

    async fn token(&self, grant: TokenGrant<'_>, scope: &str) -> Result<(String, String), Refusal> {
        let request = TokenRequest {
            grant,
            scopes: vec![scope],
            service: Some("registry.example"),
            offline: true,
            client: None,
        };
        let answer = self.authoriser.token(&request).await?;
        Ok((answer.token, answer.refresh_token.unwrap_or_default()))
    }
}

fn write_users(directory: &std::path::Path, users: &[&str]) {
    let line = |user: &&str| format!("{user}:{}\n", bcrypt::hash(user, 4).unwrap());
    let lines: String = users.iter().map(line).collect();
    std::fs::write(directory.join("htpasswd"), lines).unwrap();
}

fn basic(pair: &str) -> Vec<u8> {
    format!("Basic {}", BASE64_STANDARD.encode(pair)).into_bytes()
}

fn bearer_of(token: &str) -> Vec<u8> {
    format!("Bearer {token}").into_bytes()
}

#[tokio::test]
async fn an_open_registry_looks_at_no_credentials() {
    let authoriser = Authoriser::open();
    for value in [None, Some(&basic("alice:secret")[..]), Some(b"garbage")] {
        let presented = Presented {
            authorization: value,
            certificate: None,
            client: None,
        };
        let principal = authoriser.authenticate(&presented).await.unwrap();
        assert_eq!(principal.name().as_str(), "anonymous");
        authoriser.enter(&principal).unwrap();
        authoriser.authorise_catalog(&principal).unwrap();
    }
    assert!(!authoriser.issues_tokens());
}

#[tokio::test]
async fn a_user_gets_exactly_the_grant_that_was_asked_for() {
    let fixture = Fixture::new(Preset::Private, &["alice"], None).await;
    let alice = fixture.who(Some(&basic("alice:alice"))).await.unwrap();
    fixture.authoriser.enter(&alice).unwrap();
    let grant = fixture.may(&alice, ActionSet::PUSH).unwrap();
    assert_eq!(grant.repository().as_str(), "team/app");
    assert_eq!(grant.principal().as_str(), "alice");
    assert!(grant.permits(Action::Push) && !grant.permits(Action::Overwrite));
    let also = ActionSet::NONE.with(Action::Overwrite);
    let repository = RepositoryName::parse("team/app").unwrap();
    let circumstances = Circumstances {
        client: None,
        now: SystemTime::now(),
    };
    let granted = fixture
        .authoriser
        .authorise(&alice, &repository, ActionSet::PUSH, also, circumstances)
        .unwrap();
    assert!(granted.grant.permits(Action::Overwrite));
    assert!(granted.rule.starts_with("preset private"));
}

#[tokio::test]
async fn nobody_in_particular_is_let_in_as_the_policy_says() {
    for (preset, with_empty) in [(Preset::Private, false), (Preset::PublicRead, true)] {
        let fixture = Fixture::new(preset, &["alice"], None).await;
        let none = fixture.who(None).await.unwrap();
        let empty = fixture.who(Some(&basic(":"))).await.unwrap();
        // Without credentials nobody gets in, or a client would never send its own.
        let refused = fixture.authoriser.enter(&none).unwrap_err();
        assert!(matches!(refused, Refusal::Unauthenticated(Reason::Missing)));
        assert_eq!(fixture.authoriser.enter(&empty).is_ok(), with_empty);
        for nobody in [&none, &empty] {
            assert_eq!(fixture.may(nobody, ActionSet::PULL).is_ok(), with_empty);
            let refused = fixture.may(nobody, ActionSet::PUSH).unwrap_err();
            assert!(matches!(refused, Refusal::Unauthenticated(Reason::Missing)));
        }
    }
}

#[tokio::test]
async fn wrong_credentials_are_refused_alike() {
    let fixture = Fixture::new(Preset::PublicRead, &["alice"], None).await;
    let (wrong, unknown) = (basic("alice:Alice"), basic("bob:alice"));
    for (value, expected) in [
        (&b"Digest abc"[..], Reason::Malformed(BasicError::Scheme)),
        (b"Basic !", Reason::Malformed(BasicError::Base64)),
        (&basic("alice:"), Reason::Malformed(BasicError::Empty)),
        (&wrong, Reason::Wrong),
        (&unknown, Reason::Wrong),
        (b"Bearer abc", Reason::Token),
        (b"Bearer ", Reason::Missing),
        (&bearer_of(&".".repeat(10_000)), Reason::Token),
    ] {
        match fixture.who(Some(value)).await {
            Err(Refusal::Unauthenticated(reason)) => assert_eq!(reason, expected),
            other => panic!("{value:?}: {other:?}"),
        }
    }
    let challenge = fixture.authoriser.challenge(&[], None, Origin::default());
    assert_eq!(challenge, r#"Basic realm="a \"realm\"""#);
}

#[tokio::test]
async fn a_token_covers_what_was_asked_for_and_is_allowed() {
    let realm = "https://registry.example/auth/token";
    let fixture = Fixture::new(Preset::PublicRead, &["alice"], Some(realm)).await;
    let challenge = fixture.authoriser.challenge(&[], None, Origin::default());
    assert!(challenge.starts_with(&format!("Bearer realm=\"{realm}\"")));

    let alice = basic("alice:alice");
    let scope = "repository:team/app:pull,push repository:Bad:pull other:x:y";
    let (token, refresh) = fixture
        .token(TokenGrant::Basic(Some(&alice)), scope)
        .await
        .unwrap();
    let principal = fixture.who(Some(&bearer_of(&token))).await.unwrap();
    assert_eq!(principal.name().as_str(), "alice");
    assert!(fixture.may(&principal, ActionSet::PUSH).is_ok());
    let refused = fixture.may(&principal, ActionSet::DELETE).unwrap_err();
    assert!(matches!(refused, Refusal::InsufficientScope { .. }));
    assert_eq!(refused.bearer_error(), Some(BearerError::InsufficientScope));

    // Nobody in particular gets what nobody in particular may do.
    for grant in [
        TokenGrant::Basic(None),
        TokenGrant::Basic(Some(&basic(":"))),
    ] {
        let (token, none) = fixture.token(grant, scope).await.unwrap();
        assert_eq!(none, "");
        let principal = fixture.who(Some(&bearer_of(&token))).await.unwrap();
        assert_eq!(principal.kind(), Kind::Anonymous);
        fixture.authoriser.enter(&principal).unwrap();
        assert!(fixture.may(&principal, ActionSet::PULL).is_ok());
        let refused = fixture.may(&principal, ActionSet::PUSH).unwrap_err();
        assert!(matches!(refused, Refusal::InsufficientScope { .. }));
    }

    // A refresh token gets others, while its user has the password that it was issued for.
    let (again, same) = fixture
        .token(TokenGrant::Refresh(&refresh), scope)
        .await
        .unwrap();
    assert_eq!(same, refresh);
    assert!(fixture.who(Some(&bearer_of(&again))).await.is_ok());
    let as_password = TokenGrant::Password("alice", "alice");
    assert!(fixture.token(as_password, scope).await.is_ok());
    let refused = fixture.token(TokenGrant::Refresh(&token), scope).await;
    assert!(matches!(refused, Err(Refusal::Unauthenticated(_))));
    assert!(fixture.directory.path().join("htpasswd").exists());
}

#[tokio::test]
async fn a_private_registry_gives_no_token_to_nobody() {
    let fixture = Fixture::new(Preset::Private, &["alice"], None).await;
    let scope = "repository:team/app:pull";
    for grant in [TokenGrant::Basic(None), TokenGrant::Password("alice", "x")] {
        let refused = fixture.token(grant, scope).await.unwrap_err();
        assert!(matches!(refused, Refusal::Unauthenticated(_)));
    }
    let request = TokenRequest {
        grant: TokenGrant::Password("alice", "alice"),
        scopes: vec![scope],
        service: Some("other.example"),
        offline: false,
        client: None,
    };
    let refused = fixture.authoriser.token(&request).await.unwrap_err();
    assert!(matches!(refused, Refusal::BadTokenRequest(_)));
}

impl Fixture {
    async fn account(&self, kind: AccountKind, name: &str, id: &str, hash: String) {
        let account = NewAccount {
            kind,
            name: name.to_owned(),
            id: id.to_owned(),
            hash: PasswordHash::new(hash),
            groups: vec!["dev".to_owned()],
            description: String::new(),
            expires_at: None,
            origin: Default::default(),
        };
        assert!(self.metadata.create_account(account).await.unwrap());
    }

    async fn disable(&self, kind: AccountKind, name: &str) {
        let change = AccountChange {
            disabled: Some(true),
            ..AccountChange::default()
        };
        let changed = self
            .metadata
            .change_account(kind, name, change, Default::default());
        assert!(changed.await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_robot_comes_in_by_its_key_until_that_is_revoked() {
    let fixture = Fixture::new(Preset::Private, &["ci"], None).await;
    let key = ApiKey::generate().unwrap();
    let (id, hash) = (key.id(), key.hash());
    fixture.account(AccountKind::Robot, "ci", id, hash).await;
    let by_key = basic(&format!("ci:{}", key.expose()));
    let robot = fixture.who(Some(&by_key)).await.unwrap();
    assert_eq!(robot.name().as_str(), "robot:ci");
    assert_eq!(robot.identity().groups, ["dev"]);
    // A user of the same name is somebody else.
    let user = fixture.who(Some(&basic("ci:ci"))).await.unwrap();
    assert_eq!(user.name().as_str(), "ci");

    let scope = "repository:team/app:pull";
    let grant = TokenGrant::Basic(Some(&by_key));
    let (_, refresh) = fixture.token(grant, scope).await.unwrap();
    let other = ApiKey::generate().unwrap();
    for (user, password) in [
        ("other", key.expose()),
        ("ci", other.expose()),
        ("robot", key.expose()),
    ] {
        let wrong = basic(&format!("{user}:{password}"));
        assert!(fixture.who(Some(&wrong)).await.is_err());
    }
    // A refresh token stands in for the password of its own holder.
    let by_refresh = basic(&format!("ci:{refresh}"));
    let robot = fixture.who(Some(&by_refresh)).await.unwrap();
    assert_eq!(robot.name().as_str(), "robot:ci");
    // As the password of a login it begets no other that would outlive it.
    for grant in [
        TokenGrant::Basic(Some(&by_refresh)),
        TokenGrant::Password("ci", &refresh),
    ] {
        let (_, same) = fixture.token(grant, scope).await.unwrap();
        assert_eq!(same, refresh);
    }
    let by_other = basic(&format!("root:{refresh}"));
    assert!(fixture.who(Some(&by_other)).await.is_err());

    fixture.disable(AccountKind::Robot, "ci").await;
    assert!(fixture.who(Some(&by_key)).await.is_err());
    assert!(fixture.who(Some(&by_refresh)).await.is_err());
    let refused = fixture.token(TokenGrant::Refresh(&refresh), scope).await;
    assert!(matches!(refused, Err(Refusal::Unauthenticated(_))));
}

#[tokio::test]
async fn a_local_user_comes_before_one_of_the_file() {
    let fixture = Fixture::new(Preset::Private, &["alice", "bob"], None).await;
    let hash = crate::hash_password(b"local").unwrap();
    fixture.account(AccountKind::User, "alice", "1", hash).await;
    let local = basic("alice:local");
    let alice = fixture.who(Some(&local)).await.unwrap();
    assert_eq!(alice.identity().groups, ["dev"]);
    assert!(fixture.who(Some(&basic("alice:alice"))).await.is_err());
    assert!(fixture.who(Some(&basic("bob:bob"))).await.is_ok());
    fixture.disable(AccountKind::User, "alice").await;
    // At once, though the password was right a moment ago; and the file does not help.
    assert!(fixture.who(Some(&local)).await.is_err());
    assert!(fixture.who(Some(&basic("alice:alice"))).await.is_err());
}

#[tokio::test]
async fn other_rules_count_for_tokens_that_are_out() {
    let fixture = Fixture::new(Preset::Private, &["alice"], None).await;
    let scope = "repository:team/app:pull,push";
    let alice = basic("alice:alice");
    let (token, _) = fixture
        .token(TokenGrant::Basic(Some(&alice)), scope)
        .await
        .unwrap();
    let principal = fixture.who(Some(&bearer_of(&token))).await.unwrap();
    assert!(fixture.may(&principal, ActionSet::PUSH).is_ok());
    let none = PolicySettings::default();
    fixture.authoriser.set_policy(Policy::new(&none).unwrap());
    assert!(fixture.may(&principal, ActionSet::PUSH).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Case 74: a token covers nothing but what was asked for and is allowed.
    #[test]
    fn no_scope_gets_more_than_was_asked_for_and_is_allowed(
        scopes in prop::collection::vec("(repository:[a-zA-Z/:*]{0,9}:[a-z,*]{0,20}|.{0,40}| )", 0..8),
        anonymous in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let fixture = Fixture::new(Preset::PublicRead, &["root"], None).await;
            let basic = basic("root:root");
            let request = TokenRequest {
                grant: TokenGrant::Basic((!anonymous).then_some(&basic[..])),
                scopes: scopes.iter().map(String::as_str).collect(),
                service: None,
                offline: false,
                client: None,
            };
            let answer = fixture.authoriser.token(&request).await.unwrap();
            let asked: Access = Scope::parse_all(request.scopes.iter().copied()).into_iter().collect();
            for word in answer.scope.split(' ').filter(|word| !word.is_empty()) {
                match Scope::parse(word).unwrap() {
                    Scope::Catalog => prop_assert!(asked.covers_catalog()),
                    Scope::Repository(name, actions) => for action in actions.iter() {
                        prop_assert!(asked.covers(&name, action), "{} {:?}", word, scopes);
                        prop_assert!(!anonymous || action == Action::Pull, "{}", word);
                    },
                }
            }
            // What the answer says is what the token says.
            let value = format!("Bearer {}", answer.token).into_bytes();
            let principal = fixture.who(Some(&value)).await.unwrap();
            prop_assert_eq!(principal.name(), answer.principal.name());
            Ok(())
        })?;
    }
}
