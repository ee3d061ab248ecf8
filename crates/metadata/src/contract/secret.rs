//! Secrets that processes share: the first to change one wins.

use bytes::Bytes;

use crate::{SECRET_BYTES_MAX, SECRET_NAME_BYTES_MAX, Secrets};

use super::*;

contract!(
    a_secret_is_set_read_replaced_and_removed,
    who_has_not_seen_the_newest_version_changes_nothing,
    a_version_is_never_used_again,
    what_is_too_large_is_refused,
    a_secret_is_neither_printed_nor_told_in_the_journal,
);

async fn swap(f: &Fixture, expected: Option<u64>, value: Option<&'static str>) -> bool {
    let value = value.map(Bytes::from);
    f.meta.swap_secret("key", expected, value).await.unwrap()
}

async fn read(f: &Fixture) -> Option<(Bytes, u64)> {
    let row = f.meta.secret("key").await.unwrap()?;
    Some((row.value, row.version))
}

async fn a_secret_is_set_read_replaced_and_removed(f: Fixture) {
    assert_eq!(read(&f).await, None);
    assert!(swap(&f, None, Some("one")).await);
    let (value, first) = read(&f).await.unwrap();
    assert_eq!(value, "one");
    assert!(swap(&f, Some(first), Some("two")).await);
    let (value, second) = read(&f).await.unwrap();
    assert_eq!(value, "two");
    assert!(second > first);
    assert_eq!(f.meta.secret("other").await.unwrap(), None);
    assert!(swap(&f, Some(second), None).await);
    assert_eq!(read(&f).await, None);
}

async fn who_has_not_seen_the_newest_version_changes_nothing(f: Fixture) {
    assert!(!swap(&f, Some(1), Some("there was none")).await);
    assert!(!swap(&f, Some(1), None).await);
    // To remove what is not there is no change, and nobody was faster.
    assert!(swap(&f, None, None).await);
    assert_eq!(read(&f).await, None);
    assert!(swap(&f, None, Some("one")).await);
    let before = read(&f).await;
    let version = before.as_ref().unwrap().1;
    for stale in [None, Some(version - 1), Some(version + 1), Some(u64::MAX)] {
        assert!(!swap(&f, stale, Some("late")).await, "{stale:?}");
        assert!(!swap(&f, stale, None).await, "{stale:?}");
    }
    assert_eq!(read(&f).await, before);
}

async fn a_version_is_never_used_again(f: Fixture) {
    assert!(swap(&f, None, Some("one")).await);
    let (_, first) = read(&f).await.unwrap();
    assert!(swap(&f, Some(first), None).await);
    assert!(swap(&f, None, Some("two")).await);
    let (_, second) = read(&f).await.unwrap();
    assert!(second > first);
    assert!(!swap(&f, Some(first), Some("of the first")).await);
}

async fn what_is_too_large_is_refused(f: Fixture) {
    let largest = Bytes::from(vec![7; SECRET_BYTES_MAX]);
    let long = "n".repeat(SECRET_NAME_BYTES_MAX);
    let set = async |name: &str, value: &Bytes| {
        let value = Some(value.clone());
        f.meta.swap_secret(name, None, value).await
    };
    assert!(set(&long, &largest).await.unwrap());
    let larger = Bytes::from(vec![7; SECRET_BYTES_MAX + 1]);
    for (name, value) in [("key", &larger), ("", &largest), (&(long + "n"), &largest)] {
        let error = refused(set(name, value).await);
        assert!(matches!(error, MetadataError::Misuse(_)), "{error}");
    }
    assert_eq!(read(&f).await, None);
}

async fn a_secret_is_neither_printed_nor_told_in_the_journal(f: Fixture) {
    assert!(swap(&f, None, Some("canary")).await);
    let row = f.meta.secret("key").await.unwrap().unwrap();
    let printed = format!("{row:?}{:?}", f.meta);
    assert!(
        !printed.contains("canary") && !printed.contains("99"),
        "{printed}"
    );
    assert_eq!(f.lines().await, []);
}
