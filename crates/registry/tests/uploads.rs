//! Uploads through the registry's own interface, on the memory stores.
#![expect(
    clippy::unwrap_used,
    reason = "a test reports a broken expectation by panicking"
)]

mod fixture;

use bytes::Bytes;
use fixture::{Body, Fixture, digest, pull_all};
use roadstead_oci::{Algorithm, ContentRange};
use roadstead_registry::{BodyFailure, Declared, Error, NoBody, Settings};

fn chunk(first: u64, last: u64) -> Declared {
    let range = ContentRange::parse(&format!("{first}-{last}")).unwrap();
    Declared {
        range: Some(range),
        length: Some(last - first + 1),
    }
}

#[tokio::test]
async fn a_blob_pushed_in_one_request_is_there_whatever_its_size() {
    let fixture = Fixture::new();
    for size in [0, 1, 4_096, 4_097, 3_000_000] {
        let content = Bytes::from(vec![7; size]);
        let digest = digest(Algorithm::Sha256, &content);
        let body = Body::of(&content);
        fixture
            .registry
            .push_blob(&fixture.push, digest, body, fixture.context())
            .await
            .unwrap();
        assert_eq!(pull_all(&fixture, &digest).await, content, "{size} bytes");
    }
}

#[tokio::test]
async fn chunks_make_a_blob_and_the_session_ends_with_it() {
    let fixture = Fixture::new();
    let registry = &fixture.registry;
    let id = registry
        .start_upload(&fixture.push, Algorithm::Sha256)
        .await
        .unwrap()
        .id;
    for (declared, part) in [(chunk(0, 4), "01234"), (chunk(5, 9), "56789")] {
        registry
            .append_upload(&fixture.push, id, declared, Body::of(part))
            .await
            .unwrap();
    }
    assert_eq!(
        registry
            .upload_status(&fixture.push, id)
            .await
            .unwrap()
            .offset,
        10
    );
    let digest = digest(Algorithm::Sha256, b"0123456789abc");
    let last = Body::of("abc");
    registry
        .finish_upload(
            &fixture.push,
            id,
            chunk(10, 12),
            last,
            digest,
            fixture.context(),
        )
        .await
        .unwrap();
    assert_eq!(pull_all(&fixture, &digest).await, "0123456789abc");
    let after = registry.upload_status(&fixture.push, id).await;
    assert!(matches!(after, Err(Error::UploadUnknown)), "{after:?}");
}

#[tokio::test]
async fn a_chunk_out_of_order_is_told_where_the_session_stands() {
    let fixture = Fixture::new();
    let registry = &fixture.registry;
    let id = registry
        .start_upload(&fixture.push, Algorithm::Sha256)
        .await
        .unwrap()
        .id;
    registry
        .append_upload(&fixture.push, id, chunk(0, 4), Body::of("01234"))
        .await
        .unwrap();
    for wrong in [chunk(0, 4), chunk(6, 10)] {
        let result = registry
            .append_upload(&fixture.push, id, wrong, Body::of("xxxxx"))
            .await;
        assert!(
            matches!(result, Err(Error::UploadRange { offset: 5 })),
            "{result:?}"
        );
    }
}

#[tokio::test]
async fn a_body_of_another_length_than_declared_leaves_the_session_where_it_was() {
    let fixture = Fixture::new();
    let registry = &fixture.registry;
    let id = registry
        .start_upload(&fixture.push, Algorithm::Sha256)
        .await
        .unwrap()
        .id;
    for body in ["0123", "012345"] {
        let declared = Declared {
            length: None,
            ..chunk(0, 4)
        };
        let result = registry
            .append_upload(&fixture.push, id, declared, Body::of(body))
            .await;
        assert!(
            matches!(result, Err(Error::SizeInvalid { .. })),
            "{result:?}"
        );
        assert_eq!(
            registry
                .upload_status(&fixture.push, id)
                .await
                .unwrap()
                .offset,
            0
        );
    }
}

#[tokio::test]
async fn what_came_of_a_broken_body_is_kept_and_can_be_gone_on_from() {
    let fixture = Fixture::new();
    let registry = &fixture.registry;
    let id = registry
        .start_upload(&fixture.push, Algorithm::Sha256)
        .await
        .unwrap()
        .id;
    let broken = Body::of("0123").then_fails(BodyFailure::Disconnected);
    let result = registry
        .append_upload(&fixture.push, id, Declared::default(), broken)
        .await;
    assert!(
        matches!(result, Err(Error::Body(BodyFailure::Disconnected))),
        "{result:?}"
    );
    assert_eq!(
        registry
            .upload_status(&fixture.push, id)
            .await
            .unwrap()
            .offset,
        4
    );
    let digest = digest(Algorithm::Sha256, b"0123456");
    let rest = Body::of("456");
    registry
        .finish_upload(
            &fixture.push,
            id,
            chunk(4, 6),
            rest,
            digest,
            fixture.context(),
        )
        .await
        .unwrap();
    assert_eq!(pull_all(&fixture, &digest).await, "0123456");
}

#[tokio::test]
async fn a_wrong_digest_ends_the_session_and_frees_its_bytes() {
    let fixture = Fixture::new();
    let registry = &fixture.registry;
    for size in [10, 100_000] {
        let id = registry
            .start_upload(&fixture.push, Algorithm::Sha256)
            .await
            .unwrap()
            .id;
        let wrong = digest(Algorithm::Sha256, b"something else");
        let body = Body::of(vec![1; size]);
        let result = registry
            .finish_upload(
                &fixture.push,
                id,
                Declared::default(),
                body,
                wrong,
                fixture.context(),
            )
            .await;
        assert!(
            matches!(result, Err(Error::DigestMismatch { .. })),
            "{result:?}"
        );
        let after = registry.upload_status(&fixture.push, id).await;
        assert!(matches!(after, Err(Error::UploadUnknown)), "{after:?}");
    }
    fixture.registry.finish().await;
    assert_eq!(fixture.objects().await, 0);
}

#[tokio::test]
async fn a_closing_digest_of_another_algorithm_is_verified_over_the_stored_bytes() {
    let fixture = Fixture::new();
    let registry = &fixture.registry;
    let content = Bytes::from(vec![9; 50_000]);
    let id = registry
        .start_upload(&fixture.push, Algorithm::Sha256)
        .await
        .unwrap()
        .id;
    registry
        .append_upload(
            &fixture.push,
            id,
            Declared::default(),
            Body::of(content.clone()),
        )
        .await
        .unwrap();
    let digest = digest(Algorithm::Sha512, &content);
    registry
        .finish_upload(
            &fixture.push,
            id,
            Declared::default(),
            NoBody,
            digest,
            fixture.context(),
        )
        .await
        .unwrap();
    assert_eq!(pull_all(&fixture, &digest).await, content);
}

#[tokio::test]
async fn a_session_takes_one_writer_at_a_time() {
    let fixture = Fixture::new();
    let registry = &fixture.registry;
    let id = registry
        .start_upload(&fixture.push, Algorithm::Sha256)
        .await
        .unwrap()
        .id;
    let (body, gate) = Body::of("0123").held_open();
    let first = {
        let (registry, push) = (registry.clone(), fixture.push.clone());
        tokio::spawn(async move {
            registry
                .append_upload(&push, id, Declared::default(), body)
                .await
        })
    };
    gate.reached().await;
    let second = registry
        .append_upload(&fixture.push, id, Declared::default(), Body::of("x"))
        .await;
    assert!(
        matches!(second, Err(Error::UploadRange { .. })),
        "{second:?}"
    );
    gate.open();
    assert_eq!(first.await.unwrap().unwrap().offset, 4);
}

#[tokio::test]
async fn a_session_is_unknown_in_another_repository_and_to_another_principal() {
    let fixture = Fixture::new();
    let registry = &fixture.registry;
    let id = registry
        .start_upload(&fixture.push, Algorithm::Sha256)
        .await
        .unwrap()
        .id;
    for stranger in [
        fixture.grant("other", "anonymous"),
        fixture.grant("team/app", "somebody"),
    ] {
        let result = registry.upload_status(&stranger, id).await;
        assert!(matches!(result, Err(Error::UploadUnknown)), "{result:?}");
        let result = registry.cancel_upload(&stranger, id).await;
        assert!(matches!(result, Err(Error::UploadUnknown)), "{result:?}");
    }
}

#[tokio::test]
async fn parallel_pushes_of_one_blob_leave_one_object() {
    let fixture = Fixture::new();
    let content = Bytes::from(vec![3; 100_000]);
    let digest = digest(Algorithm::Sha256, &content);
    let pushes = (0..20).map(|_| {
        let (registry, push) = (fixture.registry.clone(), fixture.push.clone());
        let (body, context) = (Body::of(content.clone()), fixture.context());
        tokio::spawn(async move { registry.push_blob(&push, digest, body, context).await })
    });
    for push in pushes.collect::<Vec<_>>() {
        push.await.unwrap().unwrap();
    }
    fixture.registry.finish().await;
    assert_eq!(fixture.objects().await, 1);
}

#[tokio::test]
async fn progress_is_stored_on_the_way_of_a_long_body() {
    let settings = Settings {
        checkpoint_bytes: 100,
        ..Settings::default()
    };
    let fixture = Fixture::with(settings);
    let registry = &fixture.registry;
    let id = registry
        .start_upload(&fixture.push, Algorithm::Sha256)
        .await
        .unwrap()
        .id;
    let (body, gate) = Body::of(vec![5; 1_000]).held_open();
    let task = {
        let (registry, push) = (registry.clone(), fixture.push.clone());
        tokio::spawn(async move {
            registry
                .append_upload(&push, id, Declared::default(), body)
                .await
        })
    };
    gate.reached().await;
    assert!(
        registry
            .upload_status(&fixture.push, id)
            .await
            .unwrap()
            .offset
            >= 100
    );
    gate.open();
    task.await.unwrap().unwrap();
}
