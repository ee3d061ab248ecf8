//! Sessions: fences, limits, ends, expiry, and the trash that they leave.

use uuid::Uuid;

use super::{Fixture, HOUR, contract, digest, name, origin, progress};
use crate::{Advance, Change, Finish, FinishUpload, Metadata, MetadataError, Place, UploadId};

contract!(
    a_session_belongs_to_its_repository,
    a_session_begins_with_what_it_was_given,
    an_id_or_a_key_is_used_once,
    a_principal_has_so_many_sessions_and_no_more,
    a_step_that_names_an_older_fence_changes_nothing,
    durable_progress_changes_only_where_it_is_given,
    a_cancelled_session_is_gone_and_its_key_is_in_the_trash,
    a_finished_session_is_gone_and_its_blob_is_there,
    a_stale_end_changes_nothing,
    an_object_that_is_not_the_sessions_is_refused,
    the_loser_of_a_race_goes_to_the_trash,
    bytes_that_went_inline_leave_their_object_to_the_trash,
    sessions_expire_oldest_first,
    progress_puts_expiry_off,
    a_removal_that_failed_is_put_off_for_longer_each_time,
);

async fn a_session_belongs_to_its_repository(fixture: Fixture) {
    let (id, _) = fixture.begin("a", "alice").await;
    assert!(fixture.meta.upload(&name("a"), id).await.unwrap().is_some());
    assert!(fixture.meta.upload(&name("b"), id).await.unwrap().is_none());
    assert_eq!(
        fixture.meta.cancel_upload(&name("b"), id).await.unwrap(),
        None
    );
    let unknown = UploadId::random();
    assert!(
        fixture
            .meta
            .upload(&name("a"), unknown)
            .await
            .unwrap()
            .is_none()
    );
}

async fn a_session_begins_with_what_it_was_given(fixture: Fixture) {
    let (id, key) = fixture.begin("a", "alice").await;
    let row = fixture.meta.upload(&name("a"), id).await.unwrap().unwrap();
    assert_eq!((row.id, row.key, row.fence), (id, key, 0));
    assert_eq!(
        (row.principal.as_str(), row.boot_id.as_str()),
        ("alice", "boot")
    );
    assert_eq!((row.progress, row.durable), (progress(0), progress(0)));
    assert_eq!(fixture.changes().await, [Change::RepositoryCreate]);
    assert!(
        fixture
            .meta
            .repositories(None, 10)
            .await
            .unwrap()
            .items
            .is_empty()
    );
}

async fn an_id_or_a_key_is_used_once(fixture: Fixture) {
    let (id, key) = (UploadId::random(), Uuid::new_v4());
    fixture.begin_with("a", "alice", id, key, 10).await.unwrap();
    let again = fixture
        .begin_with("a", "alice", id, Uuid::new_v4(), 10)
        .await;
    assert!(matches!(again, Err(MetadataError::Misuse(_))), "{again:?}");
}

async fn a_principal_has_so_many_sessions_and_no_more(fixture: Fixture) {
    let begin =
        |principal| fixture.begin_with("a", principal, UploadId::random(), Uuid::new_v4(), 2);
    begin("alice").await.unwrap();
    let (id, _) = fixture.begin("b", "alice").await;
    let refused = begin("alice").await;
    assert!(
        matches!(refused, Err(MetadataError::TooManyUploads { limit: 2 })),
        "{refused:?}"
    );
    begin("bob").await.unwrap();
    fixture.meta.cancel_upload(&name("b"), id).await.unwrap();
    begin("alice").await.unwrap();
}

async fn a_step_that_names_an_older_fence_changes_nothing(fixture: Fixture) {
    let (id, _) = fixture.begin("a", "alice").await;
    let fence = fixture.advance(id, 0, 10).await.unwrap();
    assert_eq!(fixture.advance(id, 0, 99).await, None);
    assert_eq!(fixture.advance(UploadId::random(), 0, 99).await, None);
    let row = fixture.meta.upload(&name("a"), id).await.unwrap().unwrap();
    assert_eq!((row.progress, row.fence), (progress(10), fence));
    assert!(fixture.advance(id, fence, 20).await.is_some());
}

async fn durable_progress_changes_only_where_it_is_given(fixture: Fixture) {
    let (id, _) = fixture.begin("a", "alice").await;
    let advance = Advance {
        progress: progress(20),
        durable: Some(progress(10)),
        boot_id: "later".to_owned(),
        expires_at: fixture.now(),
    };
    let fence = fixture
        .meta
        .advance_upload(id, 0, advance)
        .await
        .unwrap()
        .unwrap();
    fixture.advance(id, fence, 30).await.unwrap();
    let row = fixture.meta.upload(&name("a"), id).await.unwrap().unwrap();
    assert_eq!((row.progress, row.durable), (progress(30), progress(10)));
}

async fn a_cancelled_session_is_gone_and_its_key_is_in_the_trash(fixture: Fixture) {
    let (id, key) = fixture.begin("a", "alice").await;
    assert_eq!(
        fixture.meta.cancel_upload(&name("a"), id).await.unwrap(),
        Some(key)
    );
    assert_eq!(
        fixture.meta.cancel_upload(&name("a"), id).await.unwrap(),
        None
    );
    assert!(fixture.meta.upload(&name("a"), id).await.unwrap().is_none());
    assert_eq!(fixture.meta.trash_ready(10).await.unwrap(), [key]);
    fixture.meta.forget_trash(key).await.unwrap();
    assert!(fixture.meta.trash_ready(10).await.unwrap().is_empty());
}

async fn a_finished_session_is_gone_and_its_blob_is_there(fixture: Fixture) {
    let (id, key) = fixture.begin("a", "alice").await;
    let fence = fixture.advance(id, 0, 5).await.unwrap();
    let finished = fixture.finish("a", (id, key), fence, 1).await;
    assert_eq!(finished, Finish::Stored { discarded: None });
    assert!(fixture.meta.upload(&name("a"), id).await.unwrap().is_none());
    let blob = fixture.blob("a", 1).await.unwrap();
    assert_eq!((blob.place, blob.size_bytes), (Place::Object(key), 5));
    assert_eq!(blob.linked_at, fixture.now());
    assert!(fixture.meta.trash_ready(10).await.unwrap().is_empty());
}

async fn a_stale_end_changes_nothing(fixture: Fixture) {
    let (id, key) = fixture.begin("a", "alice").await;
    fixture.advance(id, 0, 5).await.unwrap();
    assert_eq!(fixture.finish("a", (id, key), 0, 1).await, Finish::Stale);
    assert_eq!(fixture.finish("b", (id, key), 1, 1).await, Finish::Stale);
    assert!(fixture.blob("a", 1).await.is_none());
    assert!(fixture.meta.upload(&name("a"), id).await.unwrap().is_some());
}

async fn an_object_that_is_not_the_sessions_is_refused(fixture: Fixture) {
    let (id, _) = fixture.begin("a", "alice").await;
    let finish = |upload| FinishUpload {
        repository: name("a"),
        upload,
        digest: digest(1),
        size_bytes: 5,
        place: Place::Object(Uuid::new_v4()),
        origin: origin(),
    };
    for upload in [Some((id, 0)), None] {
        let refused = fixture.meta.finish_upload(finish(upload)).await;
        assert!(
            matches!(refused, Err(MetadataError::Misuse(_))),
            "{refused:?}"
        );
    }
    assert!(fixture.meta.upload(&name("a"), id).await.unwrap().is_some());
}

async fn the_loser_of_a_race_goes_to_the_trash(fixture: Fixture) {
    let first = fixture.begin("a", "alice").await;
    let second = fixture.begin("b", "alice").await;
    fixture.finish("a", first, 0, 1).await;
    let finished = fixture.finish("b", second, 0, 1).await;
    assert_eq!(
        finished,
        Finish::Stored {
            discarded: Some(second.1)
        }
    );
    assert_eq!(
        fixture.blob("b", 1).await.unwrap().place,
        Place::Object(first.1)
    );
    assert_eq!(fixture.meta.trash_ready(10).await.unwrap(), [second.1]);
}

async fn bytes_that_went_inline_leave_their_object_to_the_trash(fixture: Fixture) {
    for touched in [false, true] {
        let number = u8::from(touched);
        let (id, key) = fixture.begin("a", "alice").await;
        let fence = if touched {
            fixture.advance(id, 0, 2).await.unwrap()
        } else {
            0
        };
        let finish = FinishUpload {
            repository: name("a"),
            upload: Some((id, fence)),
            digest: digest(number),
            size_bytes: 2,
            place: Place::Inline("ab".into()),
            origin: origin(),
        };
        let finished = fixture.meta.finish_upload(finish).await.unwrap();
        assert_eq!(
            finished,
            Finish::Stored {
                discarded: touched.then_some(key)
            }
        );
        assert!(fixture.meta.trash_ready(10).await.unwrap().contains(&key));
    }
}

async fn sessions_expire_oldest_first(fixture: Fixture) {
    let mut keys = Vec::new();
    for _ in 0..3 {
        keys.push(fixture.begin("a", "alice").await.1);
        fixture.clock.advance(HOUR / 10);
    }
    assert!(
        fixture
            .meta
            .expire_uploads(fixture.now(), 10)
            .await
            .unwrap()
            .is_empty()
    );
    fixture.clock.advance(HOUR);
    let expired = fixture
        .meta
        .expired_uploads(fixture.now(), 2)
        .await
        .unwrap();
    assert_eq!(expired.len(), 2);
    assert_eq!(
        fixture.meta.expire_uploads(fixture.now(), 2).await.unwrap(),
        keys[..2]
    );
    assert_eq!(
        fixture.meta.expire_uploads(fixture.now(), 2).await.unwrap(),
        keys[2..]
    );
    assert_eq!(fixture.meta.trash_ready(10).await.unwrap().len(), 3);
    fixture.begin("a", "alice").await;
}

async fn progress_puts_expiry_off(fixture: Fixture) {
    let (id, _) = fixture.begin("a", "alice").await;
    fixture.clock.advance(HOUR / 2);
    fixture.advance(id, 0, 1).await.unwrap();
    fixture.clock.advance(HOUR / 2);
    assert!(
        fixture
            .meta
            .expired_uploads(fixture.now(), 10)
            .await
            .unwrap()
            .is_empty()
    );
    fixture.clock.advance(HOUR / 2);
    assert_eq!(
        fixture
            .meta
            .expired_uploads(fixture.now(), 10)
            .await
            .unwrap(),
        [id]
    );
}

async fn a_removal_that_failed_is_put_off_for_longer_each_time(fixture: Fixture) {
    let (id, key) = fixture.begin("a", "alice").await;
    fixture.meta.cancel_upload(&name("a"), id).await.unwrap();
    for seconds in [1, 2, 4] {
        fixture.meta.retry_trash(key).await.unwrap();
        fixture
            .clock
            .advance(std::time::Duration::from_millis(seconds * 1000 - 1));
        assert!(fixture.meta.trash_ready(10).await.unwrap().is_empty());
        fixture.clock.advance(std::time::Duration::from_millis(1));
        assert_eq!(fixture.meta.trash_ready(10).await.unwrap(), [key]);
    }
    fixture.meta.retry_trash(Uuid::new_v4()).await.unwrap();
}
