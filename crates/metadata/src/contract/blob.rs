//! Blobs: T1, heals, leases and deletions of a link.

use crate::BlobRow;

use super::*;

contract!(
    a_finished_upload_is_visible_and_its_session_is_gone,
    bytes_may_live_in_the_row,
    an_upload_that_went_on_without_the_caller_is_stale,
    an_object_that_is_not_the_sessions_is_misuse,
    the_second_upload_of_a_digest_goes_to_the_trash,
    a_session_whose_bytes_went_inline_leaves_its_key_in_the_trash,
    a_blob_is_visible_only_where_it_was_pushed,
    pushing_again_keeps_the_day_it_came,
    a_missing_object_is_visible_nowhere,
    only_the_key_that_was_missed_is_marked,
    an_upload_heals_every_repository,
    an_upload_elsewhere_heals_the_edges_of_manifests_too,
    a_push_grants_a_lease_that_never_shrinks,
    a_pushers_question_renews_a_short_lease,
    a_pushers_question_renews_nothing_that_a_manifest_names,
    a_deleted_blob_is_not_visible_until_it_is_pushed_again,
    a_blob_that_visible_manifests_name_is_not_deleted,
    a_manifest_of_another_repository_does_not_hold_a_blob,
    an_edge_that_waited_holds_the_blob_from_its_upload_on,
);

async fn row(f: &Fixture, repository: &str, n: u32) -> Option<BlobRow> {
    f.meta.blob(&name(repository), &blob(n)).await.unwrap()
}

async fn a_finished_upload_is_visible_and_its_session_is_gone(f: Fixture) {
    let key = f.push_object("a", 1, 1).await;
    let found = row(&f, "a", 1).await.unwrap();
    assert_eq!(found.place, Place::Object(key));
    assert_eq!(found.size_bytes, content(1).len() as u64);
    assert_eq!((found.digest, found.linked_at), (blob(1), START));
    assert_eq!(f.meta.upload(&name("a"), upload_id(1)).await.unwrap(), None);
    assert!(f.trash().await.is_empty());
}

async fn bytes_may_live_in_the_row(f: Fixture) {
    f.push_blob("a", 1).await;
    let found = row(&f, "a", 1).await.unwrap();
    assert_eq!(found.place, Place::Inline(content(1)));
}

async fn an_upload_that_went_on_without_the_caller_is_stale(f: Fixture) {
    let (id, key) = f.begin("a", 1).await.unwrap();
    f.meta.advance_upload(id, 0, advance(5)).await.unwrap();
    let lines = f.changes().await;
    let cases = [("a", id, 0), ("b", id, 1), ("a", upload_id(2), 0)];
    for (repository, id, fence) in cases {
        let end = finish(repository, 1, Some((id, fence)), Place::Object(key));
        let finished = f.meta.finish_upload(end).await.unwrap();
        assert_eq!(finished, Finish::Stale, "{repository} {id} {fence}");
    }
    assert!(!f.has_blob("a", 1).await);
    assert_eq!(f.changes().await, lines);
    let end = finish("a", 1, Some((id, 1)), Place::Object(key));
    let finished = f.meta.finish_upload(end).await.unwrap();
    assert_eq!(finished, Finish::Stored { discarded: None });
}

async fn an_object_that_is_not_the_sessions_is_misuse(f: Fixture) {
    let (id, _) = f.begin("a", 1).await.unwrap();
    for upload in [None, Some((id, 0))] {
        let end = finish("a", 1, upload, Place::Object(key(9)));
        let refusal = refused(f.meta.finish_upload(end).await);
        assert!(matches!(refusal, MetadataError::Misuse(_)), "{refusal:?}");
    }
    assert!(f.meta.upload(&name("a"), id).await.unwrap().is_some());
    assert!(!f.has_blob("a", 1).await);
}

async fn the_second_upload_of_a_digest_goes_to_the_trash(f: Fixture) {
    let first = f.push_object("a", 1, 1).await;
    let (id, second) = f.begin("b", 2).await.unwrap();
    let end = finish("b", 1, Some((id, 0)), Place::Object(second));
    let finished = f.meta.finish_upload(end).await.unwrap();
    let discarded = Some(second);
    assert_eq!(finished, Finish::Stored { discarded });
    assert_eq!(f.trash().await, [second]);
    for repository in ["a", "b"] {
        let found = row(&f, repository, 1).await.unwrap();
        assert_eq!(found.place, Place::Object(first));
    }
}

async fn a_session_whose_bytes_went_inline_leaves_its_key_in_the_trash(f: Fixture) {
    let (untouched, first) = f.begin("a", 1).await.unwrap();
    let (touched, second) = f.begin("a", 2).await.unwrap();
    f.meta.advance_upload(touched, 0, advance(6)).await.unwrap();
    let end = finish("a", 1, Some((untouched, 0)), Place::Inline(content(1)));
    let finished = f.meta.finish_upload(end).await.unwrap();
    // Nothing was written to it, so there is nothing to remove in a hurry.
    assert_eq!(finished, Finish::Stored { discarded: None });
    let end = finish("a", 2, Some((touched, 1)), Place::Inline(content(2)));
    let finished = f.meta.finish_upload(end).await.unwrap();
    let discarded = Some(second);
    assert_eq!(finished, Finish::Stored { discarded });
    assert_eq!(f.trash().await, [first, second]);
}

async fn a_blob_is_visible_only_where_it_was_pushed(f: Fixture) {
    f.push_blob("a", 1).await;
    f.push_blob("b", 2).await;
    assert!(f.has_blob("a", 1).await);
    assert!(!f.has_blob("b", 1).await);
    assert!(!f.has_blob("never", 1).await);
}

async fn pushing_again_keeps_the_day_it_came(f: Fixture) {
    f.push_blob("a", 1).await;
    f.clock.advance(HOUR);
    f.push_blob("a", 1).await;
    assert_eq!(row(&f, "a", 1).await.unwrap().linked_at, START);
    f.delete_blob("a", 1).await;
    f.push_blob("a", 1).await;
    let linked_at = row(&f, "a", 1).await.unwrap().linked_at;
    assert_eq!(linked_at, START.plus(HOUR));
}

async fn a_missing_object_is_visible_nowhere(f: Fixture) {
    let key = f.push_object("a", 1, 1).await;
    assert!(f.mount(1, "a", "b").await);
    f.meta.mark_missing(&blob(1), key).await.unwrap();
    assert!(!f.has_blob("a", 1).await);
    assert!(!f.has_blob("b", 1).await);
    assert!(!f.renew_lease("a", 1).await);
    assert!(!f.mount(1, "a", "c").await);
    assert_eq!(f.meta.holders(&blob(1), 10).await.unwrap(), []);
    let put = f.put(manifest("a", 1).with_blob(1)).await;
    assert_eq!(put, PutManifest::Missing(vec![blob(1)]));
}

async fn only_the_key_that_was_missed_is_marked(f: Fixture) {
    f.push_object("a", 1, 1).await;
    f.push_blob("a", 2).await;
    f.meta.mark_missing(&blob(1), key(9)).await.unwrap();
    f.meta.mark_missing(&blob(2), key(1)).await.unwrap();
    f.meta.mark_missing(&blob(3), key(1)).await.unwrap();
    assert!(f.has_blob("a", 1).await);
    assert!(f.has_blob("a", 2).await);
}

async fn an_upload_heals_every_repository(f: Fixture) {
    let old = f.push_object("a", 1, 1).await;
    f.mount(1, "a", "b").await;
    f.meta.mark_missing(&blob(1), old).await.unwrap();
    let new = f.push_object("c", 1, 2).await;
    for repository in ["a", "b", "c"] {
        let found = row(&f, repository, 1).await.unwrap();
        assert_eq!(found.place, Place::Object(new));
    }
    // Readers may have the old one open: it waits for collection.
    assert!(f.trash().await.is_empty());
}

/// A manifest that was pushed while the bytes were missing must hold the blob once they are back,
/// wherever they were uploaded.
async fn an_upload_elsewhere_heals_the_edges_of_manifests_too(f: Fixture) {
    let old = f.push_object("a", 1, 1).await;
    f.meta.mark_missing(&blob(1), old).await.unwrap();
    f.push(manifest("a", 1).with_optional_blob(1)).await;
    f.push_object("b", 1, 2).await;
    assert!(f.has_blob("a", 1).await);
    assert_eq!(f.delete_blob("a", 1).await, DeleteBlob::Referenced(1));
}

async fn a_push_grants_a_lease_that_never_shrinks(f: Fixture) {
    f.push_blob("a", 1).await;
    assert_eq!(f.blob_lease("a", 1), Some(START.plus(HORIZONS.lease)));
    f.delete_blob("a", 1).await;
    assert_eq!(f.blob_lease("a", 1), Some(START.plus(HORIZONS.undo)));
    f.clock.advance(HOUR);
    f.push_blob("a", 1).await;
    assert_eq!(f.blob_lease("a", 1), Some(START.plus(HORIZONS.undo)));
}

async fn a_pushers_question_renews_a_short_lease(f: Fixture) {
    f.push_blob("a", 1).await;
    let first = f.blob_lease("a", 1);
    f.clock.advance(HORIZONS.lease / 2);
    assert!(f.renew_lease("a", 1).await);
    assert_eq!(f.blob_lease("a", 1), first, "half a lease is left");
    f.clock.advance(Duration::from_micros(1));
    assert!(f.renew_lease("a", 1).await);
    let now = START.plus(HORIZONS.lease / 2 + Duration::from_micros(1));
    assert_eq!(f.blob_lease("a", 1), Some(now.plus(HORIZONS.lease)));
    assert!(!f.renew_lease("a", 2).await);
    assert!(!f.renew_lease("never", 1).await);
}

async fn a_pushers_question_renews_nothing_that_a_manifest_names(f: Fixture) {
    f.push_blob("a", 1).await;
    f.push(manifest("a", 1).with_blob(1)).await;
    let first = f.blob_lease("a", 1);
    f.clock.advance(HORIZONS.lease * 2);
    assert!(f.renew_lease("a", 1).await);
    assert_eq!(f.blob_lease("a", 1), first);
    f.delete_manifest("a", 1).await;
    let restarted = f.blob_lease("a", 1);
    assert_eq!(restarted, Some(START.plus(HORIZONS.lease * 3)));
}

async fn a_deleted_blob_is_not_visible_until_it_is_pushed_again(f: Fixture) {
    f.push_blob("a", 1).await;
    f.mount(1, "a", "b").await;
    assert_eq!(f.delete_blob("a", 1).await, DeleteBlob::Deleted);
    assert!(!f.has_blob("a", 1).await);
    assert!(f.has_blob("b", 1).await);
    assert_eq!(f.meta.holders(&blob(1), 10).await.unwrap(), [name("b")]);
    assert_eq!(f.delete_blob("a", 1).await, DeleteBlob::Unknown);
    assert_eq!(f.delete_blob("never", 1).await, DeleteBlob::Unknown);
    f.push_blob("a", 1).await;
    assert!(f.has_blob("a", 1).await);
}

async fn a_blob_that_visible_manifests_name_is_not_deleted(f: Fixture) {
    f.push_blob("a", 1).await;
    f.push(manifest("a", 1).with_blob(1)).await;
    // Named twice by one manifest is named once.
    f.push(manifest("a", 2).with_blob(1).with_blob(1)).await;
    let lines = f.changes().await;
    assert_eq!(f.delete_blob("a", 1).await, DeleteBlob::Referenced(2));
    assert_eq!(f.changes().await, lines);
    f.delete_manifest("a", 1).await;
    assert_eq!(f.delete_blob("a", 1).await, DeleteBlob::Referenced(1));
    f.delete_manifest("a", 2).await;
    assert_eq!(f.delete_blob("a", 1).await, DeleteBlob::Deleted);
}

async fn a_manifest_of_another_repository_does_not_hold_a_blob(f: Fixture) {
    f.push_blob("a", 1).await;
    f.mount(1, "a", "b").await;
    f.push(manifest("b", 1).with_blob(1)).await;
    assert_eq!(f.delete_blob("a", 1).await, DeleteBlob::Deleted);
    assert_eq!(f.delete_blob("b", 1).await, DeleteBlob::Referenced(1));
}

async fn an_edge_that_waited_holds_the_blob_from_its_upload_on(f: Fixture) {
    f.push(manifest("a", 1).with_optional_blob(1)).await;
    f.push(manifest("a", 2).with_optional_blob(2)).await;
    f.push_blob("a", 1).await;
    f.push_blob("b", 2).await;
    f.mount(2, "b", "a").await;
    for n in [1, 2] {
        assert_eq!(f.delete_blob("a", n).await, DeleteBlob::Referenced(1));
    }
    assert_eq!(f.delete_blob("b", 2).await, DeleteBlob::Deleted);
}
