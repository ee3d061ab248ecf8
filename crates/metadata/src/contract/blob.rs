//! Blobs: links, leases, mounts, deletion, healing.

use super::{Fixture, HOUR, contract, digest, edge, image, name, origin};
use crate::{Change, DeleteBlob, Finish, Metadata, Place};

contract!(
    a_blob_is_seen_in_its_repository_alone,
    a_mount_links_what_the_source_has,
    a_mount_of_nothing_makes_nothing,
    holders_come_oldest_first,
    a_deleted_blob_is_not_seen_and_others_keep_theirs,
    a_deleted_blob_that_is_pushed_again_has_a_new_date,
    a_blob_that_a_visible_manifest_names_is_not_deleted,
    a_lease_is_renewed_only_where_it_is_short_and_nothing_names_the_blob,
    a_lease_never_shrinks,
    an_object_that_is_missing_is_seen_nowhere_until_it_is_healed,
    what_lives_elsewhere_by_now_is_not_marked_missing,
);

async fn delete(fixture: &Fixture, repository: &str, number: u8) -> DeleteBlob {
    fixture
        .meta
        .delete_blob(&name(repository), &digest(number), origin())
        .await
        .unwrap()
}

async fn a_blob_is_seen_in_its_repository_alone(fixture: Fixture) {
    fixture.push_blob("a", 1).await;
    assert_eq!(
        fixture.blob("a", 1).await.unwrap().place,
        Place::Inline("bytes".into())
    );
    for (repository, number) in [("a", 2), ("b", 1), ("c", 1)] {
        assert_eq!(fixture.blob(repository, number).await, None);
    }
}

async fn a_mount_links_what_the_source_has(fixture: Fixture) {
    fixture.push_blob("a", 1).await;
    assert!(fixture.mount("a", "b", 1).await);
    assert!(fixture.mount("a", "a", 1).await);
    assert_eq!(fixture.blob("b", 1).await.unwrap().size_bytes, 5);
    let line = fixture
        .lines()
        .await
        .into_iter()
        .find(|line| line.change == Change::BlobMount);
    assert_eq!(line.unwrap().detail["from"], "a");
}

async fn a_mount_of_nothing_makes_nothing(fixture: Fixture) {
    fixture.push_blob("a", 1).await;
    let before = fixture.lines().await.len();
    assert!(!fixture.mount("a", "new", 2).await);
    assert!(!fixture.mount("nowhere", "new", 1).await);
    assert_eq!(fixture.lines().await.len(), before);
}

async fn holders_come_oldest_first(fixture: Fixture) {
    for repository in ["z", "a", "m"] {
        fixture.push_blob(repository, 1).await;
    }
    delete(&fixture, "a", 1).await;
    let holders = fixture.meta.holders(&digest(1), 10).await.unwrap();
    assert_eq!(holders, [name("z"), name("m")]);
    assert_eq!(
        fixture.meta.holders(&digest(1), 1).await.unwrap(),
        [name("z")]
    );
    assert!(
        fixture
            .meta
            .holders(&digest(2), 10)
            .await
            .unwrap()
            .is_empty()
    );
}

async fn a_deleted_blob_is_not_seen_and_others_keep_theirs(fixture: Fixture) {
    fixture.push_blob("a", 1).await;
    fixture.push_blob("b", 1).await;
    assert_eq!(delete(&fixture, "a", 1).await, DeleteBlob::Deleted);
    assert_eq!(delete(&fixture, "a", 1).await, DeleteBlob::Unknown);
    assert_eq!(delete(&fixture, "nowhere", 1).await, DeleteBlob::Unknown);
    assert_eq!(fixture.blob("a", 1).await, None);
    assert!(!fixture.mount("a", "c", 1).await);
    assert!(fixture.blob("b", 1).await.is_some());
    // Its row stays until the undo horizon.
    let horizon = fixture.now().plus(7 * 24 * HOUR);
    assert_eq!(fixture.blob_lease("a", 1), Some(horizon));
}

async fn a_deleted_blob_that_is_pushed_again_has_a_new_date(fixture: Fixture) {
    fixture.push_blob("a", 1).await;
    let first = fixture.now();
    fixture.clock.advance(HOUR);
    fixture.push_blob("a", 1).await;
    assert_eq!(fixture.blob("a", 1).await.unwrap().linked_at, first);
    delete(&fixture, "a", 1).await;
    fixture.push_blob("a", 1).await;
    assert_eq!(fixture.blob("a", 1).await.unwrap().linked_at, fixture.now());
}

async fn a_blob_that_a_visible_manifest_names_is_not_deleted(fixture: Fixture) {
    let blob = fixture.push_blob("a", 1).await;
    for number in [10, 11] {
        fixture
            .put(image("a", number, vec![edge(blob, 5), edge(blob, 5)]))
            .await;
    }
    assert_eq!(delete(&fixture, "a", 1).await, DeleteBlob::Referenced(2));
    for (number, left) in [(10, Some(1)), (11, None)] {
        fixture
            .meta
            .delete_manifest(&name("a"), &digest(number), origin())
            .await
            .unwrap();
        if let Some(left) = left {
            assert_eq!(delete(&fixture, "a", 1).await, DeleteBlob::Referenced(left));
        }
    }
    assert_eq!(delete(&fixture, "a", 1).await, DeleteBlob::Deleted);
}

async fn a_lease_is_renewed_only_where_it_is_short_and_nothing_names_the_blob(fixture: Fixture) {
    let blob = fixture.push_blob("a", 1).await;
    let renew = || async { fixture.meta.renew_lease(&name("a"), &blob).await };
    let first = fixture.blob_lease("a", 1);
    fixture.clock.advance(11 * HOUR);
    assert!(renew().await.unwrap());
    assert_eq!(fixture.blob_lease("a", 1), first);
    fixture.clock.advance(2 * HOUR);
    assert!(renew().await.unwrap());
    assert_eq!(
        fixture.blob_lease("a", 1),
        Some(fixture.now().plus(24 * HOUR))
    );
    fixture.put(image("a", 10, vec![edge(blob, 5)])).await;
    let named = fixture.blob_lease("a", 1);
    fixture.clock.advance(23 * HOUR);
    assert!(renew().await.unwrap());
    assert_eq!(fixture.blob_lease("a", 1), named);
    assert!(
        !fixture
            .meta
            .renew_lease(&name("a"), &digest(2))
            .await
            .unwrap()
    );
    assert!(!fixture.meta.renew_lease(&name("b"), &blob).await.unwrap());
}

async fn a_lease_never_shrinks(fixture: Fixture) {
    fixture.push_blob("a", 1).await;
    delete(&fixture, "a", 1).await;
    let long = fixture.blob_lease("a", 1);
    fixture.push_blob("a", 1).await;
    assert_eq!(fixture.blob_lease("a", 1), long);
}

async fn an_object_that_is_missing_is_seen_nowhere_until_it_is_healed(fixture: Fixture) {
    let first = fixture.begin("a", "alice").await;
    fixture.finish("a", first, 0, 1).await;
    fixture.mount("a", "b", 1).await;
    fixture
        .meta
        .mark_missing(&digest(1), first.1)
        .await
        .unwrap();
    for repository in ["a", "b"] {
        assert_eq!(fixture.blob(repository, 1).await, None);
        assert!(
            !fixture
                .meta
                .renew_lease(&name(repository), &digest(1))
                .await
                .unwrap()
        );
    }
    assert!(
        fixture
            .meta
            .holders(&digest(1), 10)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(!fixture.mount("a", "c", 1).await);
    let second = fixture.begin("a", "alice").await;
    let healed = fixture.finish("a", second, 0, 1).await;
    assert_eq!(healed, Finish::Stored { discarded: None });
    for repository in ["a", "b"] {
        let place = fixture.blob(repository, 1).await.unwrap().place;
        assert_eq!(place, Place::Object(second.1));
    }
    // Readers may have the old object open: it waits for collection.
    assert!(fixture.meta.trash_ready(10).await.unwrap().is_empty());
}

async fn what_lives_elsewhere_by_now_is_not_marked_missing(fixture: Fixture) {
    let first = fixture.begin("a", "alice").await;
    fixture.finish("a", first, 0, 1).await;
    fixture
        .meta
        .mark_missing(&digest(1), uuid::Uuid::new_v4())
        .await
        .unwrap();
    assert!(fixture.blob("a", 1).await.is_some());
}
