//! What is opened, what is refused, and that what is refused stays as it was.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use proptest::prelude::*;

use crate::contract::{HORIZONS, START, blob, content, finish, manifest, name, refused};
use crate::{ManualClock, Metadata, MetadataError, Place as Bytes, SqliteMetadata};

use super::*;

async fn push(sqlite: &SqliteMetadata, repository: &str, n: u32) {
    let end = finish(repository, n, None, Bytes::Inline(content(n)));
    sqlite.finish_upload(end).await.unwrap();
    let new = manifest(repository, n).with_blob(n).tagged("v1");
    sqlite.put_manifest(new).await.unwrap();
}

async fn has(sqlite: &SqliteMetadata, repository: &str, n: u32) -> bool {
    let row = sqlite.blob(&name(repository), &blob(n)).await.unwrap();
    row.is_some()
}

#[tokio::test]
async fn everything_is_there_after_opening_again() {
    let place = Place::new();
    let sqlite = place.open().unwrap();
    push(&sqlite, "a", 1).await;
    let lines = sqlite.journal(0, 100).await.unwrap();
    drop(sqlite);
    let sqlite = place.open().unwrap();
    assert!(has(&sqlite, "a", 1).await);
    assert_eq!(sqlite.journal(0, 100).await.unwrap(), lines);
    push(&sqlite, "b", 2).await;
    let more = sqlite.journal(lines.len() as u64, 100).await.unwrap();
    assert_eq!(more[0].repository.unwrap().as_i64(), 2, "numbers go on");
    assert_eq!(sqlite.broken_invariants(), Vec::<String>::new());
}

/// The files as they are at an instant are what a crash leaves.
#[tokio::test]
async fn what_was_acknowledged_outlives_a_crash() {
    let place = Place::new();
    let sqlite = place.open().unwrap();
    for n in 0..20 {
        push(&sqlite, "a", n).await;
    }
    // Nothing is written back meanwhile.
    let gate = Gate::closed(&sqlite).await;
    let crashed = Place::new();
    for file in ["roadstead.db-wal", "roadstead.db"] {
        fs::copy(place.file(file), crashed.file(file)).unwrap();
    }
    gate.open();
    let recovered = crashed.open().unwrap();
    for n in 0..20 {
        assert!(has(&recovered, "a", n).await, "blob {n}");
    }
    assert_eq!(recovered.broken_invariants(), Vec::<String>::new());
}

#[tokio::test]
async fn a_log_cut_at_any_byte_leaves_whole_changes() {
    let place = Place::new();
    drop(place.open().unwrap());
    let sqlite = place.open().unwrap();
    for n in 0..4 {
        push(&sqlite, "a", n).await;
    }
    let gate = Gate::closed(&sqlite).await;
    let log = fs::read(place.file("roadstead.db-wal")).unwrap();
    let database = fs::read(place.database()).unwrap();
    gate.open();
    let mut last = 0;
    for cut in (0..=log.len()).step_by(log.len() / 16 + 1) {
        let crashed = Place::new();
        fs::write(crashed.database(), &database).unwrap();
        fs::write(crashed.file("roadstead.db-wal"), &log[..cut]).unwrap();
        let recovered = crashed.open().unwrap();
        assert_eq!(recovered.broken_invariants(), Vec::<String>::new());
        let lines = recovered.journal(0, 100).await.unwrap().len();
        assert!(lines >= last, "{lines} lines after {last}");
        last = lines;
    }
}

#[test]
fn a_second_process_is_refused() {
    let place = Place::new();
    let first = place.open().unwrap();
    let refusal = refused(place.open());
    assert!(
        matches!(refusal, MetadataError::InUse { .. }),
        "{refusal:?}"
    );
    let clone = first.clone();
    drop(first);
    refused(place.open());
    drop(clone);
    place.open().unwrap();
}

#[test]
fn a_database_that_should_be_there_is_not_made() {
    let place = Place::new();
    let refusal = refused(open(&place.database(), true));
    assert!(
        matches!(refusal, MetadataError::NoDatabase { .. }),
        "{refusal:?}"
    );
    assert!(!fs::exists(place.database()).unwrap());
    drop(place.open().unwrap());
    open(&place.database(), true).unwrap();
}

#[test]
fn a_new_database_is_readable_by_its_owner_alone() {
    let place = Place::new();
    let _sqlite = place.open().unwrap();
    for file in [
        "roadstead.db",
        "roadstead.db-wal",
        "roadstead.db-shm",
        "roadstead.db.lock",
    ] {
        let mode = fs::metadata(place.file(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o177, 0, "{file} has mode {mode:o}");
    }
}

#[test]
fn what_an_interrupted_start_left_is_no_obstacle() {
    let place = Place::new();
    for file in [
        "roadstead.db.new",
        "roadstead.db.new-wal",
        "roadstead.db.new-journal",
    ] {
        fs::write(place.file(file), "half made").unwrap();
    }
    drop(place.open().unwrap());
    assert!(!fs::exists(place.file("roadstead.db.new")).unwrap());
}

/// A database that was used and closed.
async fn used() -> Place {
    let place = Place::new();
    let sqlite = place.open().unwrap();
    push(&sqlite, "a", 1).await;
    place
}

#[tokio::test]
async fn what_is_no_database_of_ours_is_refused_and_left_as_it_was() {
    let whole = fs::read(used().await.database()).unwrap();
    let mut beheaded = whole.clone();
    beheaded[..16].fill(0);
    let mut foreign = whole.clone();
    foreign[68..72].fill(0);
    let mut torn = whole.clone();
    torn[100..4_096].fill(0xff);
    let cases: [(&str, &[u8]); 8] = [
        ("empty", &[]),
        ("short", &whole[..50]),
        ("header only", &whole[..100]),
        ("cut in half", &whole[..whole.len() / 2]),
        (
            "text",
            b"this is my shopping list, and it is longer than a hundred bytes, so that it has \
            a header's worth of bytes in it",
        ),
        ("beheaded", &beheaded),
        ("of another program", &foreign),
        ("a damaged first page", &torn),
    ];
    for (case, bytes) in cases {
        let place = Place::new();
        fs::write(place.database(), bytes).unwrap();
        let refusal = refused(place.open());
        assert!(
            matches!(refusal, MetadataError::Damaged { .. }),
            "{case}: {refusal:?}"
        );
        assert_eq!(fs::read(place.database()).unwrap(), bytes, "{case}");
    }
}

#[tokio::test]
async fn a_log_without_its_database_is_refused() {
    let place = used().await;
    fs::remove_file(place.database()).unwrap();
    fs::write(place.file("roadstead.db-wal"), "frames").unwrap();
    let refusal = refused(place.open());
    assert!(
        matches!(refusal, MetadataError::Damaged { .. }),
        "{refusal:?}"
    );
    assert!(!fs::exists(place.database()).unwrap());
}

#[tokio::test]
async fn a_schema_of_a_newer_release_is_refused_and_left_as_it_was() {
    let place = used().await;
    place.tamper("PRAGMA user_version = 99");
    let before = fs::read(place.database()).unwrap();
    let refusal = refused(place.open());
    assert!(
        matches!(
            refusal,
            MetadataError::TooNew {
                found: 99,
                supported: 3
            }
        ),
        "{refusal:?}"
    );
    assert_eq!(fs::read(place.database()).unwrap(), before);
}

#[tokio::test]
async fn a_schema_that_was_never_finished_is_refused() {
    let place = used().await;
    place.tamper("PRAGMA user_version = 0");
    let refusal = refused(place.open());
    assert!(
        matches!(refusal, MetadataError::Damaged { .. }),
        "{refusal:?}"
    );
}

#[tokio::test]
async fn only_a_plain_file_is_a_database() {
    let elsewhere = used().await;
    let linked = Place::new();
    symlink(elsewhere.database(), linked.database()).unwrap();
    let directory = Place::new();
    fs::create_dir(directory.database()).unwrap();
    let dangling = Place::new();
    symlink(dangling.file("nothing"), dangling.database()).unwrap();
    let locked = Place::new();
    symlink(elsewhere.database(), locked.file("roadstead.db.lock")).unwrap();
    let logged = Place::new();
    symlink(elsewhere.database(), logged.file("roadstead.db-wal")).unwrap();
    let shared = used().await;
    symlink(elsewhere.database(), shared.file("roadstead.db-shm")).unwrap();
    for place in [&linked, &directory, &dangling, &locked, &logged, &shared] {
        let refusal = refused(place.open());
        assert!(
            matches!(refusal, MetadataError::NotAFile { .. }),
            "{refusal:?}"
        );
    }
    assert!(!fs::exists(dangling.file("nothing")).unwrap());
    assert!(has(&elsewhere.open().unwrap(), "a", 1).await);
}

#[test]
fn a_link_on_the_way_to_the_directory_is_followed() {
    let place = Place::new();
    let link = Place::new();
    symlink(place.directory.path(), link.file("data")).unwrap();
    let _sqlite = open(&link.file("data").join("roadstead.db"), false).unwrap();
    assert!(fs::exists(place.database()).unwrap());
    let refusal = refused(place.open());
    assert!(
        matches!(refusal, MetadataError::InUse { .. }),
        "{refusal:?}"
    );
}

#[test]
fn a_directory_that_is_not_there_is_said_so() {
    let place = Place::new();
    for path in [place.file("none").join("roadstead.db"), "/".into()] {
        let refusal = refused(open(&path, false));
        let said = matches!(
            refusal,
            MetadataError::Io { .. } | MetadataError::NotAFile { .. }
        );
        assert!(said, "{refusal:?}");
    }
}

#[test]
fn the_settings_that_durability_rests_on_are_on() {
    let place = Place::new();
    let sqlite = place.open().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let get = |connection: &rusqlite::Connection, pragma: &str| -> String {
        let sql = format!("SELECT CAST({pragma} AS TEXT) FROM pragma_{pragma}");
        connection.query_row(&sql, [], |row| row.get(0)).unwrap()
    };
    let writer = sqlite.write(move |transaction| {
        let all = ["journal_mode", "synchronous", "foreign_keys"];
        Ok(all.map(|pragma| get(transaction.connection, pragma)))
    });
    assert_eq!(runtime.block_on(writer).unwrap(), ["wal", "2", "1"]);
    let reader = sqlite.read(|connection| {
        let all = ["journal_mode", "query_only", "foreign_keys"];
        Ok(all.map(|pragma| get(connection, pragma)))
    });
    assert_eq!(reader.unwrap(), ["wal", "1", "1"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    /// Also where the bytes begin as ours do.
    #[test]
    fn any_bytes_are_refused_and_left_as_they_were(
        ours in any::<bool>(),
        bytes in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let place = Place::new();
        let mut file = bytes;
        if ours && file.len() >= 100 {
            file[..16].copy_from_slice(b"SQLite format 3\0");
            file[68..72].copy_from_slice(b"Road");
        }
        fs::write(place.database(), &file).unwrap();
        let opened = SqliteMetadata::open(
            &place.database(),
            false,
            HORIZONS,
            Arc::new(ManualClock::new(START)),
        );
        prop_assert!(opened.is_err());
        prop_assert_eq!(fs::read(place.database()).unwrap(), file);
    }
}
