//! Upload sessions: fences, expiry, the limit a principal has.

use crate::{Advance, Metadata, MetadataError, UploadRow};

use super::*;

contract!(
    a_session_starts_as_it_was_asked_for,
    a_session_belongs_to_one_repository,
    a_session_makes_the_repository_but_does_not_list_it,
    an_id_or_key_in_use_is_refused_and_nothing_changes,
    a_principal_has_only_so_many_sessions_open,
    a_step_moves_the_fence,
    a_step_with_an_older_fence_changes_nothing,
    the_durable_state_moves_only_when_it_is_given,
    a_cancelled_session_is_gone_and_its_key_is_trash,
    sessions_expire_oldest_first_and_up_to_the_limit,
    a_step_puts_the_expiry_off,
);

async fn read(f: &Fixture, id: UploadId) -> UploadRow {
    f.meta.upload(&name("a"), id).await.unwrap().unwrap()
}

async fn a_session_starts_as_it_was_asked_for(f: Fixture) {
    let (id, key) = f.begin("a", 1).await.unwrap();
    let row = read(&f, id).await;
    let repository = row.repository;
    let expected = UploadRow {
        id,
        key,
        repository,
        principal: "ada".to_owned(),
        algorithm: Algorithm::Sha256,
        progress: progress(0),
        boot_id: "boot-1".to_owned(),
        durable: progress(0),
        fence: 0,
        expires_at: START.plus(HOUR),
    };
    assert_eq!(row, expected);
}

async fn a_session_belongs_to_one_repository(f: Fixture) {
    let (id, _) = f.begin("a", 1).await.unwrap();
    f.begin("b", 2).await.unwrap();
    for other in ["b", "never"] {
        assert_eq!(f.meta.upload(&name(other), id).await.unwrap(), None);
        assert_eq!(f.meta.cancel_upload(&name(other), id).await.unwrap(), None);
    }
    read(&f, id).await;
}

async fn a_session_makes_the_repository_but_does_not_list_it(f: Fixture) {
    let repository = name("a");
    let first = f
        .meta
        .begin_upload(new_upload(&repository, upload_id(1), key(1)));
    let first = first.await.unwrap();
    let second = f
        .meta
        .begin_upload(new_upload(&repository, upload_id(2), key(2)));
    assert_eq!(first, second.await.unwrap());
    assert!(first.as_i64() > 0);
    assert!(
        f.meta
            .repositories(None, 10)
            .await
            .unwrap()
            .items
            .is_empty()
    );
    assert_eq!(f.meta.tags(&repository, None, 10).await.unwrap(), None);
    assert_eq!(f.changes().await, ["repository.create"]);
}

async fn an_id_or_key_in_use_is_refused_and_nothing_changes(f: Fixture) {
    f.begin("a", 1).await.unwrap();
    let other = name("other");
    for (id, key) in [(1, key(9)), (9, key(1))] {
        let again = f.meta.begin_upload(new_upload(&other, upload_id(id), key));
        let refusal = refused(again.await);
        assert!(matches!(refusal, MetadataError::Misuse(_)), "{refusal:?}");
    }
    assert_eq!(f.changes().await, ["repository.create"]);
    assert_eq!(f.meta.upload(&other, upload_id(9)).await.unwrap(), None);
}

async fn a_principal_has_only_so_many_sessions_open(f: Fixture) {
    let repository = name("a");
    let begin = |n: u128, principal| {
        let upload = NewUpload {
            principal,
            sessions_max: 2,
            ..new_upload(&repository, upload_id(n), key(n))
        };
        f.meta.begin_upload(upload)
    };
    begin(1, "ada").await.unwrap();
    begin(2, "ada").await.unwrap();
    let refusal = refused(begin(3, "ada").await);
    assert!(matches!(
        refusal,
        MetadataError::TooManyUploads { limit: 2 }
    ));
    begin(4, "bob").await.unwrap();

    f.meta
        .cancel_upload(&repository, upload_id(1))
        .await
        .unwrap();
    begin(5, "ada").await.unwrap();
    refused(begin(6, "ada").await);

    let place = Place::Object(key(2));
    let end = finish("a", 1, Some((upload_id(2), 0)), place);
    f.meta.finish_upload(end).await.unwrap();
    begin(7, "ada").await.unwrap();
    refused(begin(8, "ada").await);

    f.meta.expire_uploads(START.plus(HOUR), 10).await.unwrap();
    begin(9, "ada").await.unwrap();
}

async fn a_step_moves_the_fence(f: Fixture) {
    let (id, _) = f.begin("a", 1).await.unwrap();
    assert_eq!(
        f.meta.advance_upload(id, 0, advance(5)).await.unwrap(),
        Some(1)
    );
    assert_eq!(
        f.meta.advance_upload(id, 1, advance(9)).await.unwrap(),
        Some(2)
    );
    let row = read(&f, id).await;
    assert_eq!((row.fence, row.progress), (2, progress(9)));
}

async fn a_step_with_an_older_fence_changes_nothing(f: Fixture) {
    let (id, _) = f.begin("a", 1).await.unwrap();
    f.meta.advance_upload(id, 0, advance(5)).await.unwrap();
    let before = read(&f, id).await;
    for fence in [0, 2, u64::MAX] {
        let stale = f.meta.advance_upload(id, fence, advance(7)).await;
        assert_eq!(stale.unwrap(), None, "fence {fence}");
    }
    assert_eq!(read(&f, id).await, before);
    let gone = f.meta.advance_upload(upload_id(2), 0, advance(7)).await;
    assert_eq!(gone.unwrap(), None);
}

async fn the_durable_state_moves_only_when_it_is_given(f: Fixture) {
    let (id, _) = f.begin("a", 1).await.unwrap();
    f.meta.advance_upload(id, 0, advance(5)).await.unwrap();
    assert_eq!(read(&f, id).await.durable, progress(0));
    let flushed = Advance {
        durable: Some(progress(4)),
        boot_id: "boot-2".to_owned(),
        ..advance(8)
    };
    f.meta.advance_upload(id, 1, flushed).await.unwrap();
    let row = read(&f, id).await;
    assert_eq!((row.progress, row.durable), (progress(8), progress(4)));
    assert_eq!(row.boot_id, "boot-2");
}

async fn a_cancelled_session_is_gone_and_its_key_is_trash(f: Fixture) {
    let (id, key) = f.begin("a", 1).await.unwrap();
    assert_eq!(
        f.meta.cancel_upload(&name("a"), id).await.unwrap(),
        Some(key)
    );
    assert_eq!(f.meta.upload(&name("a"), id).await.unwrap(), None);
    assert_eq!(f.trash().await, [key]);
    assert_eq!(f.meta.cancel_upload(&name("a"), id).await.unwrap(), None);
}

async fn sessions_expire_oldest_first_and_up_to_the_limit(f: Fixture) {
    let repository = name("a");
    for (n, hours) in [(1, 3), (2, 1), (3, 2), (4, 9)] {
        let upload = NewUpload {
            expires_at: START.plus(HOUR * hours),
            ..new_upload(&repository, upload_id(n), key(n))
        };
        f.meta.begin_upload(upload).await.unwrap();
    }
    let now = START.plus(HOUR * 3);
    let expired = f.meta.expired_uploads(now, 10).await.unwrap();
    assert_eq!(expired, [upload_id(2), upload_id(3), upload_id(1)]);
    let expired = f.meta.expired_uploads(now, 2).await.unwrap();
    assert_eq!(expired, [upload_id(2), upload_id(3)]);

    let ended = f.meta.expire_uploads(now, 2).await.unwrap();
    assert_eq!(ended, [key(2), key(3)]);
    assert_eq!(f.meta.expire_uploads(now, 2).await.unwrap(), [key(1)]);
    assert!(f.meta.expire_uploads(now, 2).await.unwrap().is_empty());
    assert_eq!(f.trash().await, [key(1), key(2), key(3)]);
    assert!(
        f.meta
            .upload(&repository, upload_id(4))
            .await
            .unwrap()
            .is_some()
    );
}

async fn a_step_puts_the_expiry_off(f: Fixture) {
    let (id, _) = f.begin("a", 1).await.unwrap();
    let later = Advance {
        expires_at: START.plus(HOUR * 2),
        ..advance(5)
    };
    f.meta.advance_upload(id, 0, later).await.unwrap();
    let expired = f.meta.expired_uploads(START.plus(HOUR), 10).await.unwrap();
    assert_eq!(expired, []);
    let expired = f.meta.expired_uploads(START.plus(HOUR * 2), 10).await;
    assert_eq!(expired.unwrap(), [id]);
}
