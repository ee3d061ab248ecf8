//! Mounts: T2, and who has a blob.

use super::*;

contract!(
    a_mounted_blob_is_the_same_object,
    what_the_source_does_not_have_is_not_mounted,
    a_mount_grants_a_lease_of_its_own,
    a_mount_into_itself_renews_the_lease,
    holders_come_oldest_first_and_up_to_the_limit,
);

async fn a_mounted_blob_is_the_same_object(f: Fixture) {
    let key = f.push_object("a", 1, 1).await;
    f.clock.advance(HOUR);
    assert!(f.mount(1, "a", "b").await);
    let found = f.meta.blob(&name("b"), &blob(1)).await.unwrap().unwrap();
    assert_eq!(found.place, Place::Object(key));
    assert_eq!(found.linked_at, START.plus(HOUR));
}

async fn what_the_source_does_not_have_is_not_mounted(f: Fixture) {
    f.push_blob("a", 1).await;
    f.push_blob("a", 2).await;
    f.delete_blob("a", 2).await;
    let lines = f.changes().await;
    for (n, from) in [(1, "never"), (2, "a"), (3, "a")] {
        assert!(!f.mount(n, from, "b").await, "blob {n} of {from}");
    }
    // Nothing changed: not even the repository was made.
    assert_eq!(f.changes().await, lines);
}

async fn a_mount_grants_a_lease_of_its_own(f: Fixture) {
    f.push_blob("a", 1).await;
    f.clock.advance(HOUR);
    f.mount(1, "a", "b").await;
    let later = START.plus(HOUR).plus(HORIZONS.lease);
    assert_eq!(f.blob_lease("b", 1), Some(later));
    assert_eq!(f.blob_lease("a", 1), Some(START.plus(HORIZONS.lease)));
}

async fn a_mount_into_itself_renews_the_lease(f: Fixture) {
    f.push_blob("a", 1).await;
    f.clock.advance(HOUR);
    assert!(f.mount(1, "a", "a").await);
    let later = START.plus(HOUR).plus(HORIZONS.lease);
    assert_eq!(f.blob_lease("a", 1), Some(later));
}

async fn holders_come_oldest_first_and_up_to_the_limit(f: Fixture) {
    assert_eq!(f.meta.holders(&blob(1), 10).await.unwrap(), []);
    f.push_blob("c", 1).await;
    f.mount(1, "c", "a").await;
    f.mount(1, "c", "b").await;
    let holders = f.meta.holders(&blob(1), 10).await.unwrap();
    assert_eq!(holders, [name("c"), name("a"), name("b")]);
    assert_eq!(f.meta.holders(&blob(1), 1).await.unwrap(), [name("c")]);
    assert_eq!(f.meta.holders(&blob(1), 0).await.unwrap(), []);
}
