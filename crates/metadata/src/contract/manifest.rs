//! Manifests: T3 and their deletion.

use crate::ManifestRow;

use super::*;

contract!(
    a_pushed_manifest_is_read_by_digest_and_by_tag,
    a_push_makes_and_lists_the_repository,
    what_is_required_and_missing_is_named_once_blobs_first,
    a_refused_push_changes_nothing,
    what_another_repository_has_is_missing,
    a_deleted_child_is_missing,
    a_length_that_is_not_the_targets_is_refused,
    what_is_not_required_may_be_missing_but_not_wrong,
    pushing_again_is_not_created,
    a_digest_keeps_the_type_it_was_first_stored_with,
    a_deleted_manifest_is_gone_with_its_tags,
    a_deleted_manifest_comes_back_when_it_is_pushed_again,
    a_deleted_manifest_holds_nothing_of_the_users,
    deletion_restarts_the_leases_of_what_was_named,
    a_child_may_go_before_its_index,
    the_same_manifest_in_two_repositories_is_two,
);

async fn row(f: &Fixture, repository: &str, n: u32) -> Option<ManifestRow> {
    let reference = Reference::Digest(manifest_digest(n));
    let row = f.meta.manifest(&name(repository), &reference).await;
    row.unwrap()
}

async fn a_pushed_manifest_is_read_by_digest_and_by_tag(f: Fixture) {
    f.push_blob("a", 1).await;
    let new = manifest("a", 1).with_blob(1).tagged("v1").tagged("v2");
    assert_eq!(f.put(new).await, PutManifest::Stored { created: true });
    let by_digest = row(&f, "a", 1).await.unwrap();
    assert_eq!(by_digest.body, manifest_body(1));
    assert_eq!(by_digest.size_bytes, manifest_body(1).len() as u64);
    assert_eq!(by_digest.media_type, media_type(MANIFEST_TYPE));
    assert_eq!(by_digest.pushed_at, START);
    for name_of_tag in ["v1", "v2"] {
        let reference = Reference::Tag(tag(name_of_tag));
        let by_tag = f.meta.manifest(&name("a"), &reference).await.unwrap();
        assert_eq!(by_tag.unwrap(), by_digest);
        let summary = f.meta.manifest_summary(&name("a"), &reference).await;
        let summary = summary.unwrap().unwrap();
        assert_eq!(summary.digest, by_digest.digest);
        assert_eq!(summary.media_type, by_digest.media_type);
        assert_eq!(summary.size_bytes, by_digest.size_bytes);
        assert_eq!(summary.pushed_at, by_digest.pushed_at);
    }
    assert_eq!(f.tag("a", "v3").await, None);
    assert_eq!(f.tag("b", "v1").await, None);
}

async fn a_push_makes_and_lists_the_repository(f: Fixture) {
    f.push(manifest("a", 1)).await;
    let listed = f.meta.repositories(None, 10).await.unwrap();
    assert_eq!(listed.items, [name("a")]);
    let tags = f.meta.tags(&name("a"), None, 10).await.unwrap();
    assert_eq!(tags.unwrap().items, []);
}

async fn what_is_required_and_missing_is_named_once_blobs_first(f: Fixture) {
    f.push_blob("a", 1).await;
    let index = manifest("a", 9)
        .with_child(5)
        .with_blob(3)
        .with_blob(1)
        .with_blob(2)
        .with_blob(3)
        .with_child(5)
        .with_child(4);
    let missing = vec![blob(3), blob(2), manifest_digest(5), manifest_digest(4)];
    assert_eq!(f.put(index).await, PutManifest::Missing(missing));
}

async fn a_refused_push_changes_nothing(f: Fixture) {
    f.push_blob("a", 1).await;
    f.push(manifest("a", 1).tagged("v1")).await;
    let lines = f.changes().await;
    f.put(manifest("a", 2).with_blob(9).tagged("v1")).await;
    f.put(manifest("never", 2).with_blob(9).tagged("v1")).await;
    assert!(!f.has_manifest("a", 2).await);
    assert_eq!(f.tag("a", "v1").await, Some(manifest_digest(1)));
    assert_eq!(f.changes().await, lines);
    let listed = f.meta.repositories(None, 10).await.unwrap();
    assert_eq!(listed.items, [name("a")]);
}

async fn what_another_repository_has_is_missing(f: Fixture) {
    f.push_blob("b", 1).await;
    f.push(manifest("b", 2)).await;
    let put = f.put(manifest("a", 9).with_blob(1).with_child(2)).await;
    let missing = vec![blob(1), manifest_digest(2)];
    assert_eq!(put, PutManifest::Missing(missing));
}

async fn a_deleted_child_is_missing(f: Fixture) {
    f.push(manifest("a", 1)).await;
    f.delete_manifest("a", 1).await;
    let put = f.put(manifest("a", 9).with_child(1)).await;
    assert_eq!(put, PutManifest::Missing(vec![manifest_digest(1)]));
}

async fn a_length_that_is_not_the_targets_is_refused(f: Fixture) {
    f.push_blob("a", 1).await;
    f.push(manifest("a", 2)).await;
    let mut index = manifest("a", 9).with_blob(1).with_child(2);
    index.blobs[0].size_bytes += 1;
    index.children[0].size_bytes = 0;
    let wrong = vec![
        (blob(1), content(1).len() as u64),
        (manifest_digest(2), manifest_body(2).len() as u64),
    ];
    let put = f.put(index.clone()).await;
    assert_eq!(put, PutManifest::SizeMismatch(wrong));
    // What is missing is said first: the lengths may be right by the next try.
    let put = f.put(index.with_blob(7)).await;
    assert_eq!(put, PutManifest::Missing(vec![blob(7)]));
}

async fn what_is_not_required_may_be_missing_but_not_wrong(f: Fixture) {
    let index = manifest("a", 9)
        .with_optional_blob(1)
        .with_optional_child(2);
    f.push(index.clone()).await;
    f.push_blob("a", 1).await;
    let mut wrong = index;
    wrong.digest = manifest_digest(8);
    wrong.blobs[0].size_bytes += 1;
    let put = f.put(wrong).await;
    let size_bytes = content(1).len() as u64;
    assert_eq!(put, PutManifest::SizeMismatch(vec![(blob(1), size_bytes)]));
}

async fn pushing_again_is_not_created(f: Fixture) {
    f.push(manifest("a", 1).tagged("v1")).await;
    f.clock.advance(HOUR);
    let again = f.put(manifest("a", 1).tagged("v2")).await;
    assert_eq!(again, PutManifest::Stored { created: false });
    assert_eq!(row(&f, "a", 1).await.unwrap().pushed_at, START);
    assert_eq!(f.tag("a", "v1").await, Some(manifest_digest(1)));
    assert_eq!(f.tag("a", "v2").await, Some(manifest_digest(1)));
}

async fn a_digest_keeps_the_type_it_was_first_stored_with(f: Fixture) {
    f.push(manifest("a", 1)).await;
    let mut other = manifest("a", 1);
    other.media_type = media_type("application/vnd.docker.distribution.manifest.v2+json");
    f.push(other.clone()).await;
    let stored = row(&f, "a", 1).await.unwrap().media_type;
    assert_eq!(stored, media_type(MANIFEST_TYPE));
    f.delete_manifest("a", 1).await;
    f.push(other).await;
    let stored = row(&f, "a", 1).await.unwrap().media_type;
    assert_eq!(stored, media_type(MANIFEST_TYPE));
}

async fn a_deleted_manifest_is_gone_with_its_tags(f: Fixture) {
    f.push(manifest("a", 1).tagged("v2").tagged("v10").tagged("v1"))
        .await;
    f.push(manifest("a", 2).tagged("v3")).await;
    let tags = f.delete_manifest("a", 1).await.unwrap();
    assert_eq!(tags, [tag("v1"), tag("v10"), tag("v2")]);
    assert!(!f.has_manifest("a", 1).await);
    for name_of_tag in ["v1", "v10", "v2"] {
        assert_eq!(f.tag("a", name_of_tag).await, None);
    }
    assert_eq!(f.tag("a", "v3").await, Some(manifest_digest(2)));
    assert_eq!(f.delete_manifest("a", 1).await, None);
    assert_eq!(f.delete_manifest("never", 1).await, None);
}

async fn a_deleted_manifest_comes_back_when_it_is_pushed_again(f: Fixture) {
    f.push_blob("a", 1).await;
    f.push(manifest("a", 1).with_blob(1).tagged("v1")).await;
    f.delete_manifest("a", 1).await;
    f.clock.advance(HOUR);
    let again = f.put(manifest("a", 1).with_blob(1)).await;
    assert_eq!(again, PutManifest::Stored { created: true });
    let found = row(&f, "a", 1).await.unwrap();
    assert_eq!(found.pushed_at, START.plus(HOUR));
    assert_eq!(f.tag("a", "v1").await, None);
    let lease = f.manifest_lease("a", 1);
    assert_eq!(lease, Some(START.plus(HORIZONS.undo)), "it never shrinks");
}

async fn a_deleted_manifest_holds_nothing_of_the_users(f: Fixture) {
    f.push_blob("a", 1).await;
    f.push(manifest("a", 1).with_blob(1).with_subject(7, "x/y"))
        .await;
    f.delete_manifest("a", 1).await;
    assert!(f.referrers("a", 7).await.is_empty());
    assert_eq!(f.delete_blob("a", 1).await, DeleteBlob::Deleted);
    // A push that names the blob again needs it again.
    let put = f.put(manifest("a", 1).with_blob(1)).await;
    assert_eq!(put, PutManifest::Missing(vec![blob(1)]));
}

async fn deletion_restarts_the_leases_of_what_was_named(f: Fixture) {
    f.push_blob("a", 1).await;
    f.push(manifest("a", 1)).await;
    f.push(manifest("a", 9).with_blob(1).with_child(1)).await;
    f.clock.advance(HORIZONS.lease * 3);
    f.delete_manifest("a", 9).await;
    let now = START.plus(HORIZONS.lease * 3);
    assert_eq!(f.blob_lease("a", 1), Some(now.plus(HORIZONS.lease)));
    assert_eq!(f.manifest_lease("a", 1), Some(now.plus(HORIZONS.lease)));
    assert_eq!(f.manifest_lease("a", 9), Some(now.plus(HORIZONS.undo)));
}

async fn a_child_may_go_before_its_index(f: Fixture) {
    f.push(manifest("a", 1)).await;
    f.push(manifest("a", 9).with_child(1)).await;
    assert_eq!(f.delete_manifest("a", 1).await, Some(Vec::new()));
    assert!(f.has_manifest("a", 9).await);
    assert!(!f.has_manifest("a", 1).await);
    f.push(manifest("a", 1)).await;
    f.push(manifest("a", 9).with_child(1)).await;
}

async fn the_same_manifest_in_two_repositories_is_two(f: Fixture) {
    f.push(manifest("a", 1).tagged("v1")).await;
    f.push(manifest("b", 1).tagged("v1")).await;
    f.delete_manifest("a", 1).await;
    assert!(!f.has_manifest("a", 1).await);
    assert_eq!(f.tag("b", "v1").await, Some(manifest_digest(1)));
}
