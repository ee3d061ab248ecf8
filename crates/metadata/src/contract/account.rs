//! Accounts: users and robots are made, found, changed and removed, and the journal tells of it.

use serde_json::json;

use crate::{AccountChange, AccountKind, AccountRow, Accounts, NewAccount, PasswordHash, Standing};

use super::*;

contract!(
    an_account_is_found_by_name_and_by_id,
    a_name_is_unique_within_its_kind_and_an_id_among_all,
    only_what_is_told_to_change_changes,
    a_change_that_changes_nothing_writes_nothing,
    a_version_rises_and_is_not_used_again,
    accounts_are_listed_page_by_page,
    an_account_comes_in_unless_disabled_or_expired,
    what_does_not_fit_is_refused,
    the_journal_tells_of_every_change_and_of_no_hash,
    what_is_not_there_is_neither_changed_nor_removed,
);

fn new(kind: AccountKind, name: &str) -> NewAccount {
    NewAccount {
        kind,
        name: name.to_owned(),
        id: format!("id-of-{kind}-{name}"),
        hash: PasswordHash::new("canary"),
        groups: vec!["b".to_owned(), "a".to_owned(), "b".to_owned()],
        description: "what for".to_owned(),
        expires_at: None,
        origin: origin(),
    }
}

impl Fixture {
    async fn create(&self, account: NewAccount) -> bool {
        self.meta.create_account(account).await.unwrap()
    }

    async fn robot(&self, name: &str) -> Option<AccountRow> {
        self.meta.account(AccountKind::Robot, name).await.unwrap()
    }

    async fn change(&self, name: &str, change: AccountChange) -> Option<AccountRow> {
        self.meta
            .change_account(AccountKind::Robot, name, change, origin())
            .await
            .unwrap()
    }
}

async fn an_account_is_found_by_name_and_by_id(f: Fixture) {
    assert_eq!(f.robot("ci").await, None);
    assert!(f.create(new(AccountKind::Robot, "ci")).await);
    let row = f.robot("ci").await.unwrap();
    let expected = AccountRow {
        kind: AccountKind::Robot,
        name: "ci".to_owned(),
        id: "id-of-robot-ci".to_owned(),
        hash: PasswordHash::new("canary"),
        groups: vec!["a".to_owned(), "b".to_owned()],
        description: "what for".to_owned(),
        created_at: START,
        expires_at: None,
        disabled_at: None,
        version: row.version,
    };
    assert_eq!(row, expected);
    assert_eq!(f.meta.account_by_id(&row.id).await.unwrap(), Some(row));
    assert_eq!(f.meta.account_by_id("ci").await.unwrap(), None);
    for (kind, name) in [(AccountKind::User, "ci"), (AccountKind::Robot, "CI")] {
        assert_eq!(f.meta.account(kind, name).await.unwrap(), None);
    }
}

async fn a_name_is_unique_within_its_kind_and_an_id_among_all(f: Fixture) {
    assert!(f.create(new(AccountKind::Robot, "ci")).await);
    let other = NewAccount {
        id: "other".to_owned(),
        ..new(AccountKind::Robot, "ci")
    };
    assert!(!f.create(other).await);
    assert!(f.create(new(AccountKind::User, "ci")).await);
    let lines = f.changes().await;
    let same = NewAccount {
        id: "id-of-robot-ci".to_owned(),
        ..new(AccountKind::User, "eve")
    };
    let error = refused(f.meta.create_account(same).await);
    assert!(matches!(error, MetadataError::Misuse(_)), "{error}");
    let id = Some("id-of-user-ci".to_owned());
    let change = AccountChange {
        id,
        ..AccountChange::default()
    };
    let changed = f
        .meta
        .change_account(AccountKind::Robot, "ci", change, origin());
    let error = refused(changed.await);
    assert!(matches!(error, MetadataError::Misuse(_)), "{error}");
    assert_eq!(f.robot("ci").await.unwrap().id, "id-of-robot-ci");
    assert_eq!(f.changes().await, lines);
}

async fn only_what_is_told_to_change_changes(f: Fixture) {
    f.create(new(AccountKind::Robot, "ci")).await;
    f.create(new(AccountKind::Robot, "other")).await;
    let other = f.robot("other").await;
    let mut expected = f.robot("ci").await.unwrap();
    f.clock.advance(HOUR);
    let (now, end) = (START.plus(HOUR), START.plus(2 * HOUR));
    let some = AccountChange::default;
    type Apply = fn(&mut AccountRow, Timestamp);
    let changes: [(AccountChange, Apply); 8] = [
        (
            AccountChange {
                groups: Some(vec!["z".into(), "y".into()]),
                ..some()
            },
            |row, _| {
                row.groups = vec!["y".into(), "z".into()];
            },
        ),
        (
            AccountChange {
                groups: Some(Vec::new()),
                ..some()
            },
            |row, _| row.groups.clear(),
        ),
        (
            AccountChange {
                expires_at: Some(Some(end)),
                ..some()
            },
            |row, now| {
                row.expires_at = Some(now.plus(HOUR));
            },
        ),
        (
            AccountChange {
                disabled: Some(true),
                ..some()
            },
            |row, now| {
                row.disabled_at = Some(now);
            },
        ),
        (
            AccountChange {
                expires_at: Some(None),
                ..some()
            },
            |row, _| row.expires_at = None,
        ),
        (
            AccountChange {
                disabled: Some(false),
                ..some()
            },
            |row, _| row.disabled_at = None,
        ),
        (
            AccountChange {
                description: Some(String::new()),
                ..some()
            },
            |row, _| {
                row.description.clear();
            },
        ),
        (
            AccountChange {
                id: Some("new id".into()),
                hash: Some(PasswordHash::new("new hash")),
                ..some()
            },
            |row, _| {
                row.id = "new id".into();
                row.hash = PasswordHash::new("new hash");
            },
        ),
    ];
    for (change, apply) in changes {
        let told = format!("{change:?}");
        let changed = f.change("ci", change).await.unwrap();
        apply(&mut expected, now);
        expected.version = changed.version;
        assert_eq!(changed, expected, "{told}");
        assert_eq!(f.robot("ci").await, Some(changed), "{told}");
    }
    assert_eq!(f.meta.account_by_id("id-of-robot-ci").await.unwrap(), None);
    assert_eq!(f.robot("other").await, other);
}

async fn a_change_that_changes_nothing_writes_nothing(f: Fixture) {
    f.create(new(AccountKind::Robot, "ci")).await;
    let disable = AccountChange {
        disabled: Some(true),
        ..AccountChange::default()
    };
    let row = f.change("ci", disable.clone()).await;
    let lines = f.changes().await;
    f.clock.advance(HOUR);
    let groups = AccountChange {
        groups: Some(vec!["b".to_owned(), "a".to_owned()]),
        ..AccountChange::default()
    };
    for change in [disable, groups, AccountChange::default()] {
        assert_eq!(f.change("ci", change).await, row);
    }
    assert_eq!(f.changes().await, lines);
}

async fn a_version_rises_and_is_not_used_again(f: Fixture) {
    f.create(new(AccountKind::Robot, "ci")).await;
    let first = f.robot("ci").await.unwrap().version;
    let change = AccountChange {
        description: Some("other".to_owned()),
        ..AccountChange::default()
    };
    let second = f.change("ci", change).await.unwrap().version;
    let removed = f.meta.remove_account(AccountKind::Robot, "ci", origin());
    assert!(removed.await.unwrap());
    f.create(new(AccountKind::Robot, "ci")).await;
    let third = f.robot("ci").await.unwrap().version;
    assert!(first < second && second < third, "{first} {second} {third}");
    let line = f.lines().await.pop().unwrap();
    assert_eq!(line.seq, third);
}

async fn accounts_are_listed_page_by_page(f: Fixture) {
    for name in ["b", "é", "a", "A", "c"] {
        f.create(new(AccountKind::Robot, name)).await;
        f.create(new(AccountKind::User, &format!("user {name}")))
            .await;
    }
    let page = async |after: Option<&str>, limit| {
        let page = f.meta.accounts(AccountKind::Robot, after, limit).await;
        let page = page.unwrap();
        let names = page.items.into_iter().map(|row| row.name);
        (names.collect::<Vec<_>>(), page.more)
    };
    let expect = |names: &[&str], more| {
        let names = names.iter().map(|name| (*name).to_owned());
        (names.collect::<Vec<_>>(), more)
    };
    assert_eq!(page(None, 2).await, expect(&["A", "a"], true));
    assert_eq!(page(Some("a"), 3).await, expect(&["b", "c", "é"], false));
    assert_eq!(page(Some("aa"), 1).await, expect(&["b"], true));
    assert_eq!(page(None, 1_000).await.0.len(), 5);
    assert_eq!(page(Some("é"), 5).await, expect(&[], false));
    assert_eq!(page(None, 0).await, expect(&[], true));
}

async fn an_account_comes_in_unless_disabled_or_expired(f: Fixture) {
    let end = START.plus(HOUR);
    let expiring = NewAccount {
        expires_at: Some(end),
        ..new(AccountKind::Robot, "ci")
    };
    f.create(expiring).await;
    let row = f.robot("ci").await.unwrap();
    let before = Timestamp::from_micros(end.as_micros() - 1);
    assert_eq!(row.standing(before), Standing::Active);
    assert_eq!(row.standing(end), Standing::Expired);
    let disable = AccountChange {
        disabled: Some(true),
        ..AccountChange::default()
    };
    let row = f.change("ci", disable).await.unwrap();
    assert_eq!(row.standing(before), Standing::Disabled);
    f.create(new(AccountKind::Robot, "for ever")).await;
    let row = f.robot("for ever").await.unwrap();
    assert_eq!(row.standing(Timestamp::MAX), Standing::Active);
}

async fn what_does_not_fit_is_refused(f: Fixture) {
    let ci = || new(AccountKind::Robot, "ci");
    let long = |length| "x".repeat(length);
    let largest = NewAccount {
        name: long(255),
        id: long(255),
        hash: PasswordHash::new(long(1024)),
        groups: (0..100).map(|n| format!("{n:0255}")).collect(),
        description: long(1024),
        ..ci()
    };
    assert!(f.create(largest).await);
    for account in [
        NewAccount {
            name: String::new(),
            ..ci()
        },
        NewAccount {
            name: long(256),
            ..ci()
        },
        NewAccount {
            name: "a\nb".to_owned(),
            ..ci()
        },
        NewAccount {
            id: String::new(),
            ..ci()
        },
        NewAccount {
            hash: PasswordHash::new(""),
            ..ci()
        },
        NewAccount {
            hash: PasswordHash::new(long(1025)),
            ..ci()
        },
        NewAccount {
            groups: vec![String::new()],
            ..ci()
        },
        NewAccount {
            groups: (0..101).map(|n| n.to_string()).collect(),
            ..ci()
        },
        NewAccount {
            description: long(1025),
            ..ci()
        },
    ] {
        let told = format!("{account:?}");
        let error = refused(f.meta.create_account(account).await);
        assert!(matches!(error, MetadataError::Misuse(_)), "{told}");
    }
    assert!(f.create(ci()).await);
    let lines = f.changes().await;
    let change = AccountChange {
        description: Some(long(1025)),
        ..AccountChange::default()
    };
    let changed = f
        .meta
        .change_account(AccountKind::Robot, "ci", change, origin());
    refused(changed.await);
    assert_eq!(f.robot("ci").await.unwrap().description, "what for");
    assert_eq!(f.changes().await, lines);
}

async fn the_journal_tells_of_every_change_and_of_no_hash(f: Fixture) {
    f.create(new(AccountKind::Robot, "ci")).await;
    let change = AccountChange {
        hash: Some(PasswordHash::new("canary 2")),
        groups: Some(vec!["c".to_owned()]),
        ..AccountChange::default()
    };
    f.change("ci", change).await;
    let removed = f.meta.remove_account(AccountKind::Robot, "ci", origin());
    assert!(removed.await.unwrap());
    let lines = f.lines().await;
    let detail = |groups: &[&str]| {
        json!({ "account": "ci", "kind": "robot", "id": "id-of-robot-ci", "groups": groups,
            "request_id": "r-1" })
    };
    let mut changed = detail(&["c"]);
    changed["changed"] = json!(["hash", "groups"]);
    let told: Vec<_> = lines
        .iter()
        .map(|line| (line.change.as_str(), &line.detail))
        .collect();
    assert_eq!(
        told,
        [
            ("account.create", &detail(&["a", "b"])),
            ("account.change", &changed),
            ("account.remove", &detail(&["c"])),
        ]
    );
    for line in &lines {
        assert_eq!(
            (line.repository, line.actor.as_str(), line.at),
            (None, "ada", START)
        );
    }
    let printed = format!("{lines:?} {:?}", new(AccountKind::Robot, "ci"));
    assert!(!printed.contains("canary"), "{printed}");
    f.push_blob("a", 1).await;
    let line = f.lines().await.pop().unwrap();
    assert!(line.repository.is_some());
}

async fn what_is_not_there_is_neither_changed_nor_removed(f: Fixture) {
    f.create(new(AccountKind::User, "ci")).await;
    let change = AccountChange {
        disabled: Some(true),
        ..AccountChange::default()
    };
    assert_eq!(f.change("ci", change).await, None);
    let removed = f.meta.remove_account(AccountKind::Robot, "ci", origin());
    assert!(!removed.await.unwrap());
    assert_eq!(f.changes().await, ["account.create"]);
}
