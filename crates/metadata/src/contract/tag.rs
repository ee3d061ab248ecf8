//! Tags: set by a push, moved by the next, removed.

use super::*;

contract!(
    a_tag_moves_with_the_push_that_names_it,
    a_tag_that_points_there_already_does_not_change,
    a_tag_stays_where_it_is_for_who_may_not_move_it,
    a_removed_tag_leaves_the_manifest,
    a_tag_is_removed_once,
    what_a_moved_tag_leaves_untagged_gets_a_fresh_lease,
    what_a_removed_tag_leaves_untagged_gets_a_fresh_lease,
    what_keeps_a_tag_gets_no_lease,
    tags_differ_by_case,
);

async fn a_tag_moves_with_the_push_that_names_it(f: Fixture) {
    f.push(manifest("a", 1).tagged("v1").tagged("latest")).await;
    f.push(manifest("a", 2).tagged("latest")).await;
    assert_eq!(f.tag("a", "latest").await, Some(manifest_digest(2)));
    assert_eq!(f.tag("a", "v1").await, Some(manifest_digest(1)));
    let line = f.lines().await.pop().unwrap();
    assert_eq!(line.tag, Some(tag("latest")));
    assert_eq!(line.digest, Some(manifest_digest(2)));
    assert_eq!(line.previous, Some(manifest_digest(1)));
}

async fn a_tag_that_points_there_already_does_not_change(f: Fixture) {
    f.push(manifest("a", 1).tagged("v1")).await;
    let before = f.changes().await.len();
    f.push(
        manifest("a", 1)
            .tagged("v1")
            .tagged("v1")
            .tagged("v2")
            .tagged("v2"),
    )
    .await;
    assert_eq!(f.changes().await[before..], ["manifest.push", "tag.set v2"]);
}

async fn a_tag_stays_where_it_is_for_who_may_not_move_it(f: Fixture) {
    let create_only = |n: u32, tags: &[&str]| {
        let mut new = manifest("a", n);
        new.overwrite = false;
        tags.iter().fold(new, |new, name| new.tagged(name))
    };
    f.push(create_only(1, &["v1", "latest"])).await;
    f.push(create_only(1, &["v1"])).await;
    let before = f.changes().await;
    let put = f
        .meta
        .put_manifest(create_only(2, &["v2", "latest", "v1"]))
        .await;
    assert_eq!(
        put.unwrap(),
        PutManifest::TagsTaken(vec![tag("latest"), tag("v1")])
    );
    assert_eq!(f.changes().await, before);
    assert_eq!(f.tag("a", "latest").await, Some(manifest_digest(1)));
    assert!(!f.has_manifest("a", 2).await);

    // Two who create one new tag at the same time: one of them does.
    let (one, other) = tokio::join!(
        f.meta.put_manifest(create_only(3, &["new"])),
        f.meta.put_manifest(create_only(4, &["new"])),
    );
    let taken = PutManifest::TagsTaken(vec![tag("new")]);
    assert_ne!(one.unwrap() == taken, other.unwrap() == taken);
}

async fn a_removed_tag_leaves_the_manifest(f: Fixture) {
    f.push(manifest("a", 1).tagged("v1")).await;
    assert!(f.delete_tag("a", "v1").await);
    assert_eq!(f.tag("a", "v1").await, None);
    assert!(f.has_manifest("a", 1).await);
}

async fn a_tag_is_removed_once(f: Fixture) {
    f.push(manifest("a", 1).tagged("v1")).await;
    assert!(!f.delete_tag("a", "v2").await);
    assert!(!f.delete_tag("never", "v1").await);
    assert!(f.delete_tag("a", "v1").await);
    let lines = f.changes().await;
    assert!(!f.delete_tag("a", "v1").await);
    assert_eq!(f.changes().await, lines);
}

async fn what_a_moved_tag_leaves_untagged_gets_a_fresh_lease(f: Fixture) {
    f.push(manifest("a", 1).tagged("v1")).await;
    f.clock.advance(HOUR);
    f.push(manifest("a", 2).tagged("v1")).await;
    let fresh = START.plus(HOUR).plus(HORIZONS.lease);
    assert_eq!(f.manifest_lease("a", 1), Some(fresh));
}

async fn what_a_removed_tag_leaves_untagged_gets_a_fresh_lease(f: Fixture) {
    f.push(manifest("a", 1).tagged("v1")).await;
    f.clock.advance(HOUR);
    f.delete_tag("a", "v1").await;
    let fresh = START.plus(HOUR).plus(HORIZONS.lease);
    assert_eq!(f.manifest_lease("a", 1), Some(fresh));
}

async fn what_keeps_a_tag_gets_no_lease(f: Fixture) {
    f.push(manifest("a", 1).tagged("v1").tagged("v2").tagged("v3"))
        .await;
    f.clock.advance(HOUR);
    f.push(manifest("a", 2).tagged("v1")).await;
    f.delete_tag("a", "v2").await;
    assert_eq!(f.manifest_lease("a", 1), Some(START.plus(HORIZONS.lease)));
}

async fn tags_differ_by_case(f: Fixture) {
    f.push(manifest("a", 1).tagged("v1")).await;
    f.push(manifest("a", 2).tagged("V1")).await;
    assert_eq!(f.tag("a", "v1").await, Some(manifest_digest(1)));
    assert_eq!(f.tag("a", "V1").await, Some(manifest_digest(2)));
}
