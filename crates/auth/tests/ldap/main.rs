//! Login by a real directory, Debian's slapd. Where it is not installed, tests say that they were
//! skipped; where the environment says `CI=true` that is a failure.
#![expect(
    clippy::unwrap_used,
    reason = "a test reports a broken expectation by panicking"
)]

mod slapd;

use std::collections::HashSet;
use std::time::Duration;

use ldap3::Mod;
use roadstead_auth::{Ldap, LdapError, LdapGroups, LdapIdentity, LdapSettings, Secret};

use slapd::Slapd;

const ADA: &str = "uid=ada,ou=people,dc=example,dc=org";

fn settings(url: String) -> LdapSettings {
    LdapSettings {
        url,
        start_tls: false,
        insecure: true,
        ca_file: None,
        service: Some((
            "cn=roadstead,dc=example,dc=org".to_owned(),
            Secret::new(*b"service"),
        )),
        user_base: "ou=people,dc=example,dc=org".to_owned(),
        user_filter: "(&(objectClass=inetOrgPerson)(uid={user}))".to_owned(),
        user_attribute: "uid".to_owned(),
        groups: Some(LdapGroups::Search {
            base: "ou=groups,dc=example,dc=org".to_owned(),
            filter: "(&(objectClass=groupOfNames)(member={dn}))".to_owned(),
            attribute: "cn".to_owned(),
        }),
        timeout: Duration::from_secs(60),
        connections: 2,
    }
}

async fn login(ldap: &Ldap, user: &str, password: &str) -> Option<LdapIdentity> {
    let password = Secret::new(password.as_bytes());
    ldap.login(user, &password).await.unwrap()
}

fn identity(user: &str, groups: &[&str]) -> LdapIdentity {
    LdapIdentity {
        user: user.to_owned(),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
    }
}

#[tokio::test]
async fn only_the_right_password_of_exactly_one_entry_lets_in() {
    let Some(slapd) = Slapd::start().await else {
        return;
    };
    let ldap = Ldap::new(settings(slapd.plain())).unwrap();
    let ada = Some(identity("ada", &["Ops Team", "devs"]));
    let bob = Some(identity("bob (*)", &["devs"]));
    for _ in 0..2 {
        for (user, password, expected) in [
            ("ada", "ada:пароль", &ada),
            // The directory does not tell capitals apart; the registry is told one name.
            ("ADA", "ada:пароль", &ada),
            ("ada", "ada:пароль ", &None),
            ("ada", "service", &None),
            ("bob (*)", "bob", &bob),
            ("twin", "twin", &None),
            ("nobody", "ada:пароль", &None),
            ("nopassword", "x", &None),
            ("robot:ci", "colon", &None),
            // R17: no name is more than a name.
            ("*", "ada:пароль", &None),
            ("ad*", "ada:пароль", &None),
            ("x)(|(uid=ada)", "ada:пароль", &None),
            ("ada)(uid=ada", "ada:пароль", &None),
            ("bob \\28\\2a\\29", "bob", &None),
            (ADA, "ada:пароль", &None),
            ("", "ada:пароль", &None),
            ("ada\0", "ada:пароль", &None),
        ] {
            assert_eq!(
                &login(&ldap, user, password).await,
                expected,
                "{user} {password}"
            );
        }
    }
}

/// R17: the directory would take it for a login of nobody, which is a success.
#[tokio::test]
async fn an_empty_password_lets_nobody_in() {
    let Some(slapd) = Slapd::start().await else {
        return;
    };
    assert_eq!(slapd.bind(ADA, "").await, 0, "the directory is no trap");
    let ldap = Ldap::new(settings(slapd.plain())).unwrap();
    for user in ["ada", "nopassword", "twin", "nobody"] {
        assert_eq!(login(&ldap, user, "").await, None, "{user}");
        assert_eq!(login(&ldap, user, "\0").await, None, "{user}");
    }
}

/// R16: groups are those of now, and whoever is gone is gone.
#[tokio::test]
async fn groups_are_read_anew_and_replace_the_old_ones() {
    let Some(slapd) = Slapd::start().await else {
        return;
    };
    let ldap = Ldap::new(settings(slapd.plain())).unwrap();
    let before = Some(identity("ada", &["Ops Team", "devs"]));
    assert_eq!(login(&ldap, "ada", "ada:пароль").await, before);
    assert_eq!(ldap.find("ada").await.unwrap(), before);
    let member = HashSet::from(["cn=Bob (\\2A\\2C \\5C),ou=people,dc=example,dc=org"]);
    let change = Mod::Replace("member", member);
    slapd
        .modify("cn=devs,ou=groups,dc=example,dc=org", change)
        .await;
    let after = Some(identity("ada", &["Ops Team"]));
    assert_eq!(ldap.find("ada").await.unwrap(), after);
    // A right password is right for a while without another look; here nobody remembers it.
    let other = Ldap::new(settings(slapd.plain())).unwrap();
    assert_eq!(login(&other, "ada", "ada:пароль").await, after);
    slapd
        .modify(ADA, Mod::Replace("userPassword", HashSet::from(["new"])))
        .await;
    let other = Ldap::new(settings(slapd.plain())).unwrap();
    assert_eq!(login(&other, "ada", "ada:пароль").await, None);
    assert_eq!(login(&other, "ada", "new").await, after);
    slapd.delete(ADA).await;
    assert_eq!(ldap.find("ada").await.unwrap(), None);
}

#[tokio::test]
async fn groups_come_from_the_users_entry_where_that_is_asked_for() {
    let Some(slapd) = Slapd::start().await else {
        return;
    };
    assert_eq!(slapd.count("ou=elsewhere,dc=example,dc=org").await, 2);
    let groups = |base: &str| {
        Some(LdapGroups::Attribute {
            attribute: "memberof".to_owned(),
            base: base.to_owned(),
        })
    };
    for (groups, expected) in [
        (
            groups("OU=Groups, DC=example,DC=org"),
            &["Ops Team", "devs"][..],
        ),
        (groups("dc=example,dc=org"), &["Ops Team", "admins", "devs"]),
        (groups("dc=example,dc=net"), &[]),
        (None, &[]),
    ] {
        let settings = LdapSettings {
            groups,
            ..settings(slapd.plain())
        };
        let ldap = Ldap::new(settings).unwrap();
        let found = login(&ldap, "ada", "ada:пароль").await;
        assert_eq!(found, Some(identity("ada", expected)));
    }
}

#[tokio::test]
async fn nothing_is_said_to_a_directory_that_cannot_prove_who_it_is() {
    let Some(slapd) = Slapd::start().await else {
        return;
    };
    let secret = |url: String, start_tls, ca| LdapSettings {
        start_tls,
        insecure: false,
        ca_file: Some(ca),
        ..settings(url)
    };
    for (url, start_tls) in [(slapd.tls(), false), (slapd.plain(), true)] {
        let ldap = Ldap::new(secret(url.clone(), start_tls, slapd.ca())).unwrap();
        assert!(login(&ldap, "ada", "ada:пароль").await.is_some(), "{url}");
        // Another authority, another name than the certificate's, and no TLS at all.
        let localhost = url.replace("127.0.0.1", "localhost");
        let plain = slapd.plain().replace("ldap://", "ldaps://");
        for (url, start_tls, ca) in [
            (url.clone(), start_tls, slapd.other_ca()),
            (localhost, start_tls, slapd.ca()),
            (plain, false, slapd.ca()),
        ] {
            let ldap = Ldap::new(secret(url.clone(), start_tls, ca)).unwrap();
            let refused = ldap
                .login("ada", &Secret::new("ada:пароль".as_bytes()))
                .await;
            assert!(
                matches!(refused, Err(LdapError::Connection(_))),
                "{url}: {refused:?}"
            );
        }
    }
    let system = LdapSettings {
        insecure: false,
        ..settings(slapd.plain())
    };
    assert!(matches!(Ldap::new(system), Err(LdapError::Settings(_))));
}

#[tokio::test]
async fn a_directory_that_was_away_is_asked_again() {
    let Some(mut slapd) = Slapd::start().await else {
        return;
    };
    let ldap = Ldap::new(settings(slapd.plain())).unwrap();
    assert!(ldap.find("ada").await.unwrap().is_some());
    slapd.stop();
    let refused = ldap.find("ada").await;
    assert!(
        matches!(refused, Err(LdapError::Connection(_))),
        "{refused:?}"
    );
    slapd.start_again();
    assert!(ldap.find("ada").await.unwrap().is_some());
    assert!(login(&ldap, "bob (*)", "bob").await.is_some());
    // Connections that broke while nobody asked.
    slapd.stop();
    slapd.start_again();
    assert!(ldap.find("ada").await.unwrap().is_some());
}

#[tokio::test]
async fn many_at_a_time_share_few_connections() {
    let Some(slapd) = Slapd::start().await else {
        return;
    };
    let ldap = Ldap::new(settings(slapd.plain())).unwrap();
    let logins: Vec<_> = (0..40)
        .map(|number| {
            let ldap = ldap.clone();
            tokio::spawn(async move {
                let password = if number % 2 == 0 { "bob" } else { "wrong" };
                (number, login(&ldap, "bob (*)", password).await)
            })
        })
        .collect();
    for task in logins {
        let (number, found) = task.await.unwrap();
        assert_eq!(found.is_some(), number % 2 == 0, "{number}");
    }
}

#[tokio::test]
async fn a_directory_that_refuses_or_says_nothing_is_an_error() {
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("ldap://{}", silent.local_addr().unwrap());
    let impatient = LdapSettings {
        timeout: Duration::from_millis(50),
        ..settings(url)
    };
    let ldap = Ldap::new(impatient).unwrap();
    let answer = ldap.find("ada").await;
    assert!(matches!(answer, Err(LdapError::Timeout)), "{answer:?}");

    let Some(slapd) = Slapd::start().await else {
        return;
    };
    let wrong = LdapSettings {
        service: Some((
            "cn=roadstead,dc=example,dc=org".to_owned(),
            Secret::new(*b"wrong"),
        )),
        ..settings(slapd.plain())
    };
    let answer = Ldap::new(wrong).unwrap().find("ada").await;
    assert!(
        matches!(answer, Err(LdapError::ServiceRefused { code: 49 })),
        "{answer:?}"
    );
    // Nobody may look for users in this directory.
    let nobody = LdapSettings {
        service: None,
        ..settings(slapd.plain())
    };
    let ldap = Ldap::new(nobody).unwrap();
    let password = Secret::new("ada:пароль".as_bytes());
    let answer = ldap.login("ada", &password).await;
    assert!(!matches!(answer, Ok(Some(_))), "{answer:?}");
}
