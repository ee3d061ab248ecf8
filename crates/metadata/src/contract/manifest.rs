//! Manifests and tags: what must be there, what becomes visible together, what deletion leaves.

use roadstead_oci::{MediaType, Reference};

use super::{Fixture, HOUR, contract, digest, edge, image, name, origin, tag};
use crate::{Change, Edge, Metadata, PutManifest};

contract!(
    a_manifest_is_read_by_digest_and_by_tag,
    what_is_required_and_missing_is_named_once_blobs_first,
    what_may_be_missing_is_taken,
    a_wrong_size_is_refused,
    nothing_becomes_visible_of_a_refused_push,
    blobs_and_children_of_other_repositories_do_not_count,
    all_tags_move_together,
    a_tag_that_points_there_already_does_not_change,
    the_same_manifest_twice_is_one,
    a_digest_keeps_its_first_type,
    a_deleted_manifest_takes_its_tags_along,
    a_deleted_manifest_that_is_pushed_again_is_there_again,
    a_deleted_child_still_counts_as_missing,
    an_edge_takes_its_blob_when_it_appears,
    a_deleted_tag_leaves_the_manifest,
    what_loses_its_last_tag_or_edge_stays_a_lease_longer,
);

async fn a_manifest_is_read_by_digest_and_by_tag(fixture: Fixture) {
    fixture
        .put_tagged(image("a", 10, vec![]), &["v1", "v2"])
        .await;
    for reference in [
        Reference::Digest(digest(10)),
        Reference::Tag(tag("v1")),
        Reference::Tag(tag("v2")),
    ] {
        let row = fixture
            .meta
            .manifest(&name("a"), &reference)
            .await
            .unwrap()
            .unwrap();
        assert_eq!((row.digest, row.size_bytes), (digest(10), 10));
        assert_eq!(
            (&row.body[..], row.media_type),
            (&[10; 10][..], MediaType::OCI_IMAGE)
        );
        assert_eq!(row.pushed_at, fixture.now());
        assert_eq!(fixture.resolve("b", reference.clone()).await, None);
    }
    assert_eq!(fixture.resolve_tag("a", "v3").await, None);
}

async fn what_is_required_and_missing_is_named_once_blobs_first(fixture: Fixture) {
    let there = fixture.push_blob("a", 1).await;
    let mut new = image(
        "a",
        10,
        vec![edge(digest(3), 5), edge(there, 5), edge(digest(2), 5)],
    );
    new.blobs.push(edge(digest(3), 5));
    new.children = vec![edge(digest(4), 5)];
    let put = fixture.put(new).await;
    assert_eq!(
        put,
        PutManifest::Missing(vec![digest(3), digest(2), digest(4)])
    );
}

async fn what_may_be_missing_is_taken(fixture: Fixture) {
    let optional = |number| Edge {
        required: false,
        ..edge(digest(number), 5)
    };
    let mut new = image("a", 10, vec![optional(1)]);
    new.children = vec![optional(2)];
    assert_eq!(
        fixture.put(new).await,
        PutManifest::Stored { created: true }
    );
}

async fn a_wrong_size_is_refused(fixture: Fixture) {
    let blob = fixture.push_blob("a", 1).await;
    fixture.put(image("a", 10, vec![])).await;
    let mut new = image(
        "a",
        11,
        vec![Edge {
            required: false,
            ..edge(blob, 6)
        }],
    );
    new.children = vec![edge(digest(10), 9)];
    let put = fixture.put(new).await;
    assert_eq!(
        put,
        PutManifest::SizeMismatch(vec![(blob, 5), (digest(10), 10)])
    );
}

async fn nothing_becomes_visible_of_a_refused_push(fixture: Fixture) {
    let before = fixture.lines().await.len();
    let mut new = image("new", 10, vec![edge(digest(1), 5)]);
    new.tags = vec![tag("v1")];
    fixture.put(new).await;
    assert_eq!(fixture.resolve_tag("new", "v1").await, None);
    assert_eq!(fixture.lines().await.len(), before);
    assert!(
        fixture
            .meta
            .tags(&name("new"), None, 10)
            .await
            .unwrap()
            .is_none()
    );
}

async fn blobs_and_children_of_other_repositories_do_not_count(fixture: Fixture) {
    let blob = fixture.push_blob("b", 1).await;
    fixture.put(image("b", 10, vec![])).await;
    let mut new = image("a", 11, vec![edge(blob, 5)]);
    new.children = vec![edge(digest(10), 10)];
    assert_eq!(
        fixture.put(new).await,
        PutManifest::Missing(vec![blob, digest(10)])
    );
}

async fn all_tags_move_together(fixture: Fixture) {
    fixture.put_tagged(image("a", 10, vec![]), &["v1"]).await;
    fixture
        .put_tagged(image("a", 11, vec![]), &["v1", "latest", "v1"])
        .await;
    for text in ["v1", "latest"] {
        assert_eq!(fixture.resolve_tag("a", text).await, Some(digest(11)));
    }
    let lines = fixture.lines().await;
    let moved = lines.iter().filter(|line| line.change == Change::TagSet);
    let moved: Vec<_> = moved
        .map(|line| (line.tag.clone().unwrap(), line.previous))
        .collect();
    let expected = [
        (tag("v1"), None),
        (tag("v1"), Some(digest(10))),
        (tag("latest"), None),
    ];
    assert_eq!(moved, expected);
}

async fn a_tag_that_points_there_already_does_not_change(fixture: Fixture) {
    for _ in 0..2 {
        fixture.put_tagged(image("a", 10, vec![]), &["v1"]).await;
    }
    let changes = fixture.changes().await;
    let set = changes.iter().filter(|change| **change == Change::TagSet);
    assert_eq!(set.count(), 1);
}

async fn the_same_manifest_twice_is_one(fixture: Fixture) {
    assert_eq!(
        fixture.put(image("a", 10, vec![])).await,
        PutManifest::Stored { created: true }
    );
    let first = fixture.now();
    fixture.clock.advance(HOUR);
    assert_eq!(
        fixture.put(image("a", 10, vec![])).await,
        PutManifest::Stored { created: false }
    );
    let reference = Reference::Digest(digest(10));
    let row = fixture
        .meta
        .manifest(&name("a"), &reference)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.pushed_at, first);
}

/// A digest answers for ever what it once answered.
async fn a_digest_keeps_its_first_type(fixture: Fixture) {
    fixture.put(image("a", 10, vec![])).await;
    let mut other = image("a", 10, vec![]);
    other.media_type = MediaType::DOCKER_IMAGE;
    fixture.put(other.clone()).await;
    let reference = Reference::Digest(digest(10));
    let media_type = || async {
        fixture
            .meta
            .manifest(&name("a"), &reference)
            .await
            .unwrap()
            .unwrap()
            .media_type
    };
    assert_eq!(media_type().await, MediaType::OCI_IMAGE);
    fixture
        .meta
        .delete_manifest(&name("a"), &digest(10), origin())
        .await
        .unwrap();
    fixture.put(other).await;
    assert_eq!(media_type().await, MediaType::OCI_IMAGE);
}

async fn a_deleted_manifest_takes_its_tags_along(fixture: Fixture) {
    fixture
        .put_tagged(image("a", 10, vec![]), &["z", "b"])
        .await;
    fixture.put_tagged(image("a", 11, vec![]), &["other"]).await;
    let delete = || async {
        fixture
            .meta
            .delete_manifest(&name("a"), &digest(10), origin())
            .await
    };
    assert_eq!(delete().await.unwrap(), Some(vec![tag("b"), tag("z")]));
    assert_eq!(delete().await.unwrap(), None);
    for text in ["z", "b"] {
        assert_eq!(fixture.resolve_tag("a", text).await, None);
    }
    assert_eq!(
        fixture.resolve("a", Reference::Digest(digest(10))).await,
        None
    );
    assert_eq!(fixture.resolve_tag("a", "other").await, Some(digest(11)));
    let changes = fixture.changes().await;
    assert!(changes.ends_with(&[Change::TagDelete, Change::TagDelete, Change::ManifestDelete]));
    assert_eq!(
        fixture.manifest_lease("a", 10),
        Some(fixture.now().plus(7 * 24 * HOUR))
    );
}

async fn a_deleted_manifest_that_is_pushed_again_is_there_again(fixture: Fixture) {
    fixture.put_tagged(image("a", 10, vec![]), &["v1"]).await;
    fixture
        .meta
        .delete_manifest(&name("a"), &digest(10), origin())
        .await
        .unwrap();
    fixture.clock.advance(HOUR);
    assert_eq!(
        fixture.put(image("a", 10, vec![])).await,
        PutManifest::Stored { created: true }
    );
    assert_eq!(fixture.resolve_tag("a", "v1").await, None);
    let reference = Reference::Digest(digest(10));
    let row = fixture
        .meta
        .manifest(&name("a"), &reference)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.pushed_at, fixture.now());
}

async fn a_deleted_child_still_counts_as_missing(fixture: Fixture) {
    fixture.put(image("a", 10, vec![])).await;
    fixture
        .meta
        .delete_manifest(&name("a"), &digest(10), origin())
        .await
        .unwrap();
    let mut index = image("a", 11, vec![]);
    index.children = vec![edge(digest(10), 10)];
    assert_eq!(
        fixture.put(index).await,
        PutManifest::Missing(vec![digest(10)])
    );
}

async fn an_edge_takes_its_blob_when_it_appears(fixture: Fixture) {
    let waiting = Edge {
        required: false,
        ..edge(digest(1), 5)
    };
    fixture.put(image("a", 10, vec![waiting])).await;
    fixture.push_blob("a", 1).await;
    let deleted = fixture
        .meta
        .delete_blob(&name("a"), &digest(1), origin())
        .await
        .unwrap();
    assert_eq!(deleted, crate::DeleteBlob::Referenced(1));
    fixture.put(image("b", 10, vec![waiting])).await;
    fixture.mount("a", "b", 1).await;
    let deleted = fixture
        .meta
        .delete_blob(&name("b"), &digest(1), origin())
        .await
        .unwrap();
    assert_eq!(deleted, crate::DeleteBlob::Referenced(1));
}

async fn a_deleted_tag_leaves_the_manifest(fixture: Fixture) {
    fixture.put_tagged(image("a", 10, vec![]), &["v1"]).await;
    let delete = || async {
        fixture
            .meta
            .delete_tag(&name("a"), &tag("v1"), origin())
            .await
    };
    assert!(delete().await.unwrap());
    assert!(!delete().await.unwrap());
    assert!(
        !fixture
            .meta
            .delete_tag(&name("b"), &tag("v1"), origin())
            .await
            .unwrap()
    );
    assert_eq!(
        fixture.resolve("a", Reference::Digest(digest(10))).await,
        Some(digest(10))
    );
}

async fn what_loses_its_last_tag_or_edge_stays_a_lease_longer(fixture: Fixture) {
    let blob = fixture.push_blob("a", 1).await;
    fixture.put(image("a", 9, vec![])).await;
    let mut new = image("a", 10, vec![edge(blob, 5)]);
    new.children = vec![edge(digest(9), 10)];
    fixture.put_tagged(new, &["v1", "v2"]).await;
    let lease = || Some(fixture.now().plus(24 * HOUR));
    fixture.clock.advance(HOUR);
    fixture.put_tagged(image("a", 11, vec![]), &["v1"]).await;
    assert_ne!(fixture.manifest_lease("a", 10), lease(), "a tag is left");
    fixture
        .meta
        .delete_tag(&name("a"), &tag("v2"), origin())
        .await
        .unwrap();
    assert_eq!(fixture.manifest_lease("a", 10), lease());
    fixture.clock.advance(HOUR);
    fixture
        .meta
        .delete_manifest(&name("a"), &digest(10), origin())
        .await
        .unwrap();
    assert_eq!(fixture.blob_lease("a", 1), lease());
    assert_eq!(fixture.manifest_lease("a", 9), lease());
}
