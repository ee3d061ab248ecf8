//! Accounts that another process changes: it sees and is seen, and leaves the files as they were.

use std::fs;

use crate::{
    AccountChange, AccountKind, AccountStore, Accounts, Metadata, MetadataError, NewAccount,
    Origin, PasswordHash,
};

use super::*;

fn robot(name: &str) -> NewAccount {
    NewAccount {
        kind: AccountKind::Robot,
        name: name.to_owned(),
        id: format!("id of {name}"),
        hash: PasswordHash::new("hash"),
        groups: Vec::new(),
        description: String::new(),
        expires_at: None,
        origin: Origin::default(),
    }
}

fn add(place: &Place, name: &str) {
    let mut store = AccountStore::open(&place.database()).unwrap();
    assert!(store.create(robot(name)).unwrap());
}

async fn has(sqlite: &SqliteMetadata, name: &str) -> bool {
    let found = sqlite.account(AccountKind::Robot, name).await.unwrap();
    found.is_some()
}

/// What the lock's file says of the log.
fn mark(place: &Place) -> String {
    fs::read_to_string(place.file("roadstead.db.lock")).unwrap_or_default()
}

/// The files as they are at an instant are what a crash leaves.
fn crashed(place: &Place) -> Place {
    let copy = Place::new();
    for file in ["roadstead.db", "roadstead.db-wal", "roadstead.db.lock"] {
        fs::copy(place.file(file), copy.file(file)).unwrap();
    }
    copy
}

#[tokio::test]
async fn a_registry_that_serves_sees_it_at_its_next_read() {
    let place = Place::new();
    let sqlite = place.open().unwrap();
    assert!(!has(&sqlite, "ci").await);
    add(&place, "ci");
    assert!(has(&sqlite, "ci").await);
    assert!(place.file("roadstead.db-wal").exists(), "the log stays");
    assert_eq!(mark(&place), "log\n");
    // Both go on, one after the other.
    assert!(sqlite.create_account(robot("own")).await.unwrap());
    let mut store = AccountStore::open(&place.database()).unwrap();
    let page = store.list(AccountKind::Robot, None, 10).unwrap();
    let names: Vec<_> = page.items.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["ci", "own"]);
    let disable = AccountChange {
        disabled: Some(true),
        ..AccountChange::default()
    };
    let origin = Origin::default();
    let changed = store.update(AccountKind::Robot, "own", disable, &origin);
    assert!(changed.unwrap().unwrap().disabled_at.is_some());
    let row = sqlite.account(AccountKind::Robot, "own").await.unwrap();
    assert!(row.unwrap().disabled_at.is_some());
    assert!(store.remove(AccountKind::Robot, "ci", &origin).unwrap());
    assert!(!has(&sqlite, "ci").await);
    assert!(
        sqlite
            .journal(0, 10)
            .await
            .unwrap()
            .is_sorted_by_key(|line| line.seq)
    );
    assert_eq!(sqlite.journal(0, 10).await.unwrap().len(), 4);
}

#[tokio::test]
async fn without_a_registry_the_database_is_clean_afterwards() {
    let place = Place::new();
    drop(place.open().unwrap());
    add(&place, "ci");
    for file in ["roadstead.db-wal", "roadstead.db-shm"] {
        assert!(!place.file(file).exists(), "{file}");
    }
    assert_eq!(mark(&place), "---\n");
    assert!(has(&place.open().unwrap(), "ci").await);
}

/// It would else be a database that is marked to need a log, without one.
#[tokio::test]
async fn what_an_unclean_stop_left_stays_for_the_next_start() {
    let place = Place::new();
    let sqlite = place.open().unwrap();
    assert!(sqlite.create_account(robot("first")).await.unwrap());
    let gate = Gate::closed(&sqlite).await;
    let crashed = crashed(&place);
    gate.open();
    add(&crashed, "second");
    assert_eq!(mark(&crashed), "log\n");
    assert!(crashed.file("roadstead.db-wal").exists());
    let recovered = crashed.open().unwrap();
    assert!(has(&recovered, "first").await && has(&recovered, "second").await);
}

/// The registry stops while the command is at the database: whoever goes last, the next start finds
/// what it needs.
#[tokio::test]
async fn a_registry_that_stops_meanwhile_starts_again() {
    let place = Place::new();
    let sqlite = place.open().unwrap();
    let mut store = AccountStore::open(&place.database()).unwrap();
    drop(sqlite);
    assert!(store.create(robot("ci")).unwrap());
    drop(store);
    assert!(has(&place.open().unwrap(), "ci").await);
}

/// A start does not take a command for another registry.
#[tokio::test]
async fn a_start_waits_for_a_command() {
    let place = Place::new();
    drop(place.open().unwrap());
    let mut store = AccountStore::open(&place.database()).unwrap();
    let path = place.database();
    let start = std::thread::spawn(move || super::open(&path, false));
    assert!(store.create(robot("ci")).unwrap());
    drop(store);
    let sqlite = start.join().unwrap().unwrap();
    assert!(has(&sqlite, "ci").await);
    let second = place.open();
    assert!(matches!(second, Err(MetadataError::InUse { .. })));
}

#[test]
fn only_a_start_makes_a_database_or_brings_it_up_to_date() {
    let place = Place::new();
    let error = AccountStore::open(&place.database()).unwrap_err();
    assert!(matches!(error, MetadataError::NotYet { .. }), "{error}");
    assert!(!place.database().exists());
    drop(place.open().unwrap());
    for (version, expected) in [(2, "schema 2"), (99, "schema 99"), (0, "no tables")] {
        place.tamper(&format!("PRAGMA user_version = {version}"));
        let before = fs::read(place.database()).unwrap();
        let error = AccountStore::open(&place.database()).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(fs::read(place.database()).unwrap(), before);
    }
}

#[test]
fn a_log_that_was_deleted_is_missed() {
    let place = Place::new();
    drop(place.open().unwrap());
    fs::write(place.file("roadstead.db.lock"), "log\n").unwrap();
    let error = AccountStore::open(&place.database()).unwrap_err();
    assert!(matches!(error, MetadataError::LogGone { .. }), "{error}");
    assert_eq!(mark(&place), "log\n");
}
