use std::time::Duration;

use super::settings::group_filter;
use super::*;

fn settings() -> LdapSettings {
    LdapSettings {
        url: "ldaps://directory.example:636".to_owned(),
        start_tls: false,
        insecure: false,
        ca_file: None,
        service: Some(("cn=roadstead".to_owned(), Secret::new(*b"canary"))),
        user_base: "ou=people".to_owned(),
        user_filter: "(&(objectClass=person)(uid={user}))".to_owned(),
        user_attribute: "uid".to_owned(),
        groups: Some(Groups::Search {
            base: "ou=groups".to_owned(),
            filter: "(|(member={dn})(memberUid={user}))".to_owned(),
            attribute: "cn".to_owned(),
        }),
        timeout: Duration::from_secs(1),
        connections: 2,
    }
}

#[test]
fn settings_that_would_let_somebody_in_or_listen_are_refused() {
    assert!(settings().check().is_ok());
    type Change = fn(&mut LdapSettings);
    let changes: [(Change, Option<&str>); 16] = [
        (|it| it.url = "ldap://a".into(), Some("plain text")),
        (
            |it| (it.url, it.start_tls) = ("ldap://a".into(), true),
            None,
        ),
        (|it| (it.url, it.insecure) = ("ldap://a".into(), true), None),
        (|it| it.start_tls = true, Some("StartTLS is for")),
        (|it| it.url = "ldapi:///run/x".into(), Some("begins with")),
        (|it| it.url = "ldaps://".into(), Some("has a host")),
        (|it| it.url = "ldaps:///dc=x".into(), Some("has a host")),
        (|it| it.url = "ldaps://a/dc=x".into(), Some("nothing else")),
        (
            |it| it.service = Some(("cn=x".into(), Secret::new(*b""))),
            Some("a password"),
        ),
        (|it| it.service = None, None),
        (
            |it| it.user_filter = "(uid=ada)".into(),
            Some("where the name goes"),
        ),
        (
            |it| it.user_filter = "(uid={user}".into(),
            Some("no LDAP filter"),
        ),
        (|it| it.connections = 0, Some("without a connection")),
        (
            |it| {
                it.groups = Some(Groups::Search {
                    base: String::new(),
                    filter: "(cn=all)".into(),
                    attribute: "cn".into(),
                });
            },
            Some("says whose"),
        ),
        (
            |it| {
                it.groups = Some(Groups::Attribute {
                    attribute: "memberOf".into(),
                    base: String::new(),
                });
            },
            Some("below which entry"),
        ),
        (|it| it.groups = None, None),
    ];
    for (change, expected) in changes {
        let mut changed = settings();
        change(&mut changed);
        let refused = changed.check().err().map(|error| error.to_string());
        match expected {
            None => assert_eq!(refused, None),
            Some(part) => assert!(
                refused.as_ref().is_some_and(|it| it.contains(part)),
                "{refused:?} {part}"
            ),
        }
    }
    assert!(!format!("{:?}", settings()).contains("canary"));
}

#[test]
fn a_name_is_a_name_whatever_stands_in_it() {
    let filter = settings().user_filter("*)(uid=admin");
    assert_eq!(filter, r"(&(objectClass=person)(uid=\2a\29\28uid=admin))");
    let filter = group_filter(
        "(|(member={dn})(memberUid={user})({x))",
        "cn={user}\\",
        "(ada)",
    );
    assert_eq!(filter, r"(|(member=cn={user}\5c)(memberUid=\28ada\29)({x))");
}

/// R17: there is no directory here, and an answer all the same.
#[tokio::test]
async fn an_empty_password_is_not_sent() {
    let mut unreachable = settings();
    (unreachable.url, unreachable.insecure) = ("ldap://127.0.0.1:1".to_owned(), true);
    let ldap = Ldap::new(unreachable).unwrap();
    for password in ["", "a\0b"] {
        let password = Secret::new(password.as_bytes());
        assert_eq!(ldap.login("ada", &password).await.unwrap(), None);
    }
    let password = Secret::new(*b"secret");
    assert_eq!(ldap.login("", &password).await.unwrap(), None);
    let error = ldap.login("ada", &password).await.unwrap_err();
    assert!(matches!(error, LdapError::Connection(_)), "{error}");
}
