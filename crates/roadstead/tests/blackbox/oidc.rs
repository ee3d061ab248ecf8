//! Identities of a real provider, over HTTPS: discovery, keys that rotate, the device flow.

use std::sync::Arc;
use std::time::SystemTime;

use roadstead_auth::{
    DeviceClient, DeviceError, EgressSettings, OidcError, OidcIdentity, OidcIssuer, OidcSettings,
};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::harness::{CLIENT, Provider, SOON, until};

/// What a registry does with an issuer.
struct Login {
    runtime: Runtime,
    issuer: Arc<OidcIssuer>,
    task: JoinHandle<()>,
}

impl Login {
    fn at(provider: &Provider) -> Self {
        let runtime = Runtime::new().unwrap();
        let settings = OidcSettings {
            name: "idp".into(),
            issuer: provider.issuer().parse().unwrap(),
            audiences: vec!["registry".into()],
            client_id: Some(CLIENT.into()),
            ca: Some(provider.ca()),
            algorithms: OidcSettings::default_algorithms(),
            username_claim: "sub".into(),
            groups_claim: Some("groups".into()),
        };
        let issuer = Arc::new(OidcIssuer::new(settings, &egress()).unwrap());
        let task = runtime.spawn({
            let issuer = Arc::clone(&issuer);
            async move { issuer.keep_current().await }
        });
        Self {
            runtime,
            issuer,
            task,
        }
    }

    fn verify(&self, token: &str) -> Result<OidcIdentity, OidcError> {
        let verified = self.issuer.verify(token, SystemTime::now());
        self.runtime.block_on(verified)
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn egress() -> EgressSettings {
    EgressSettings {
        allow: vec!["127.0.0.1".parse().unwrap()],
        ca: None,
    }
}

#[test]
fn a_job_is_known_by_its_token_and_by_keys_that_rotate() {
    let provider = Provider::start();
    let login = Login::at(&provider);
    let job = |more: Value| provider.id_token("repo:team/app", "registry", &more);
    let first = job(json!({"groups": ["ci"], "ref": "refs/heads/main"}));
    let identity = login.verify(&first).unwrap();
    assert_eq!(identity.username, "repo:team/app");
    assert_eq!(identity.groups, ["ci"]);
    assert_eq!(identity.claims["ref"], "refs/heads/main");
    assert_eq!(
        login.verify(&job(json!({"aud": "other"}))),
        Err(OidcError::Audience)
    );
    assert_eq!(
        login.verify(&job(json!({"exp": 1}))),
        Err(OidcError::Expired)
    );
    assert_eq!(
        login.verify(&job(json!({"iat": null}))),
        Err(OidcError::Claims)
    );
    // A key that nobody has heard of is asked for at once, and groups are those of the new token.
    provider.rotate();
    let second = login.verify(&job(json!({"groups": ["other"]}))).unwrap();
    assert_eq!(second.groups, ["other"]);
    assert!(login.verify(&first).is_ok());
    let asked = provider.requests().len();
    provider.rotate();
    let third = job(json!({}));
    for _ in 0..5 {
        assert!(matches!(login.verify(&third), Err(OidcError::Jose(_))));
    }
    assert_eq!(provider.requests().len(), asked);
    // Whoever starts later sees only what is published then.
    provider.withdraw_old_keys();
    let later = Login::at(&provider);
    assert!(later.verify(&third).is_ok());
    assert!(matches!(later.verify(&first), Err(OidcError::Jose(_))));
}

#[test]
fn a_provider_that_is_away_at_start_is_found_when_it_comes() {
    let provider = Provider::start();
    provider.be_away(true);
    let login = Login::at(&provider);
    let token = provider.id_token("alice", "registry", &Value::Null);
    assert!(login.verify(&token).unwrap_err().is_unavailable());
    assert!(login.issuer.problem().unwrap().contains("503"));
    provider.be_away(false);
    until("the provider is found", SOON, || {
        login.issuer.problem().is_none().then_some(())
    });
    assert!(login.verify(&token).is_ok());
    // Gone again, and with it the port: what was fetched is good for a day.
    drop(provider);
    assert!(login.verify(&token).is_ok());
}

#[test]
fn a_person_logs_in_by_device_code() {
    let provider = Provider::start();
    let login = Login::at(&provider);
    let scopes = ["groups".to_owned()];
    let discover = |client: &str| {
        let issuer = provider.issuer().parse().unwrap();
        let (client, ca) = (client.to_owned(), Some(provider.ca()));
        let (egress, scopes) = (egress(), &scopes);
        login.runtime.block_on(async move {
            DeviceClient::discover(&issuer, client, scopes, &egress, ca).await
        })
    };
    let client = discover(CLIENT).unwrap();
    let begin = || login.runtime.block_on(client.begin()).unwrap();
    let code = begin();
    assert!(code.verification_uri.starts_with(&provider.issuer()));
    let token = login.runtime.block_on(async {
        let wait = client.wait(&code);
        tokio::pin!(wait);
        // It waits for as long as nobody confirms.
        tokio::select! {
            outcome = &mut wait => panic!("nobody has confirmed: {outcome:?}"),
            () = asked(&provider) => {}
        }
        provider.approve(&code.user_code, json!({"sub": "alice", "groups": ["dev"]}));
        wait.await.unwrap()
    });
    let identity = login.verify(&token).unwrap();
    assert_eq!(
        (&*identity.username, &*identity.groups),
        ("alice", &["dev".to_owned()][..])
    );
    let wait = |code| login.runtime.block_on(client.wait(code)).unwrap_err();
    // A code is good once.
    assert!(matches!(wait(&code), DeviceError::Refused(told) if told == "invalid_grant"));
    let code = begin();
    provider.deny(&code.user_code);
    assert!(matches!(wait(&code), DeviceError::Denied));
    let code = begin();
    provider.expire(&code.user_code);
    assert!(matches!(wait(&code), DeviceError::Expired));
    let other = discover("other").unwrap();
    let refused = login.runtime.block_on(other.begin()).unwrap_err();
    assert!(matches!(refused, DeviceError::Refused(told) if told == "invalid_client"));
}

/// Until the provider has been asked for the token.
async fn asked(provider: &Provider) {
    let asked = || provider.requests().iter().any(|line| line == "POST /token");
    while !asked() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
