//! Manifests, tags, mounts, deletions and referrers through the registry's own interface, on the
//! memory stores.
#![expect(
    clippy::unwrap_used,
    reason = "a test reports a broken expectation by panicking"
)]

mod fixture;

use bytes::Bytes;
use fixture::{Body, Fixture, digest};
use roadstead_oci::{Algorithm, Digest, MediaType, Reference, Tag};
use roadstead_registry::{
    DockerAccept, Error, Mode, PushedManifest, ReferencePolicy, Settings, Validation,
};
use serde_json::{Value, json};

async fn push_blob(fixture: &Fixture, content: &str) -> Value {
    let digest = digest(Algorithm::Sha256, content.as_bytes());
    let (body, context) = (Body::of(content), fixture.context());
    fixture
        .registry
        .push_blob(&fixture.push, digest, body, context)
        .await
        .unwrap();
    json!({
        "mediaType": "application/vnd.oci.image.layer.v1.tar",
        "digest": digest.to_string(),
        "size": content.len(),
    })
}

fn image(config: &Value, layers: &[Value], subject: Option<&Digest>) -> Bytes {
    let mut image = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_IMAGE.as_str(),
        "config": config,
        "layers": layers,
    });
    if let Some(subject) = subject {
        image["subject"] = json!({
            "mediaType": MediaType::OCI_IMAGE.as_str(),
            "digest": subject.to_string(),
            "size": 1,
        });
    }
    Bytes::from(image.to_string())
}

fn index(children: &[Value]) -> Bytes {
    let index = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_INDEX.as_str(),
        "manifests": children,
    });
    Bytes::from(index.to_string())
}

async fn put(fixture: &Fixture, tag: &str, body: &Bytes) -> Result<PushedManifest, Error> {
    let reference = Reference::Tag(Tag::parse(tag).unwrap());
    let context = fixture.context();
    fixture
        .registry
        .put_manifest(
            &fixture.push,
            &reference,
            Vec::new(),
            None,
            body.clone(),
            context,
        )
        .await
}

async fn get(fixture: &Fixture, reference: &str) -> Result<Bytes, Error> {
    let reference = Reference::parse(reference).unwrap();
    let accept = DockerAccept::default;
    fixture
        .registry
        .manifest(&fixture.push, &reference, accept)
        .await
        .map(|row| row.body)
}

#[tokio::test]
async fn a_manifest_is_served_byte_for_byte_by_tag_and_by_digest() {
    let fixture = Fixture::new();
    let config = push_blob(&fixture, "{}").await;
    let body = image(&config, &[], None);
    let pushed = put(&fixture, "v1", &body).await.unwrap();
    assert_eq!(get(&fixture, "v1").await.unwrap(), body);
    assert_eq!(
        get(&fixture, &pushed.digest.to_string()).await.unwrap(),
        body
    );
}

#[tokio::test]
async fn what_is_missing_is_named_all_of_it() {
    let fixture = Fixture::new();
    let config = push_blob(&fixture, "{}").await;
    let absent = |content: &str| {
        let digest = digest(Algorithm::Sha256, content.as_bytes());
        (
            digest,
            json!({"mediaType": "a/b", "digest": digest.to_string(), "size": 1}),
        )
    };
    let (one, two) = (absent("1"), absent("2"));
    let body = image(&config, &[one.1.clone(), two.1.clone(), one.1], None);
    let refused = put(&fixture, "v1", &body).await;
    let Err(Error::ReferencesUnknown(missing)) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(missing, [one.0, two.0]);
    assert!(matches!(
        get(&fixture, "v1").await,
        Err(Error::ManifestUnknown(_))
    ));
}

#[tokio::test]
async fn a_wrong_size_of_what_is_there_is_refused() {
    let fixture = Fixture::new();
    let mut config = push_blob(&fixture, "{}").await;
    config["size"] = json!(3);
    let refused = put(&fixture, "v1", &image(&config, &[], None)).await;
    assert!(
        matches!(refused, Err(Error::ReferenceSize(_))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn without_reference_checks_a_manifest_may_stand_on_nothing() {
    let validation = Validation {
        references: ReferencePolicy::None,
        ..Validation::default()
    };
    let fixture = Fixture::with(Settings {
        validation,
        ..Settings::default()
    });
    let absent = digest(Algorithm::Sha256, b"nowhere").to_string();
    let config = json!({"mediaType": "a/b", "digest": absent, "size": 7});
    put(&fixture, "v1", &image(&config, &[], None))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_blob_that_a_manifest_names_stays_until_the_manifest_is_deleted() {
    let fixture = Fixture::new();
    let config = push_blob(&fixture, "{}").await;
    let pushed = put(&fixture, "v1", &image(&config, &[], None))
        .await
        .unwrap();
    let blob = digest(Algorithm::Sha256, b"{}");
    let delete = || {
        fixture
            .registry
            .delete_blob(&fixture.push, &blob, fixture.context())
    };
    let refused = delete().await;
    assert!(
        matches!(refused, Err(Error::BlobReferenced { manifests: 1 })),
        "{refused:?}"
    );
    let registry = &fixture.registry;
    registry
        .delete_manifest(&fixture.push, &pushed.digest, fixture.context())
        .await
        .unwrap();
    assert!(matches!(
        get(&fixture, "v1").await,
        Err(Error::ManifestUnknown(_))
    ));
    delete().await.unwrap();
    assert!(matches!(delete().await, Err(Error::BlobUnknown(_))));
}

#[tokio::test]
async fn a_deleted_tag_leaves_the_manifest() {
    let fixture = Fixture::new();
    let config = push_blob(&fixture, "{}").await;
    let pushed = put(&fixture, "v1", &image(&config, &[], None))
        .await
        .unwrap();
    let tag = Tag::parse("v1").unwrap();
    let registry = &fixture.registry;
    registry
        .delete_tag(&fixture.push, &tag, fixture.context())
        .await
        .unwrap();
    assert!(matches!(
        get(&fixture, "v1").await,
        Err(Error::ManifestUnknown(_))
    ));
    get(&fixture, &pushed.digest.to_string()).await.unwrap();
    let again = registry
        .delete_tag(&fixture.push, &tag, fixture.context())
        .await;
    assert!(matches!(again, Err(Error::ManifestUnknown(_))), "{again:?}");
}

#[tokio::test]
async fn a_mount_links_what_the_source_has_and_nothing_else() {
    let fixture = Fixture::new();
    push_blob(&fixture, "layer").await;
    let (there, absent) = (
        digest(Algorithm::Sha256, b"layer"),
        digest(Algorithm::Sha256, b"?"),
    );
    let target = fixture.grant("other/app", "anonymous");
    let registry = &fixture.registry;
    let mount = |digest: Digest| {
        let (registry, context) = (registry.clone(), fixture.context());
        let (target, source) = (target.clone(), fixture.push.clone());
        async move {
            registry
                .mount(&target, &source, &digest, context)
                .await
                .unwrap()
        }
    };
    assert!(!mount(absent).await);
    assert!(matches!(
        registry.blob(&target, &there).await,
        Err(Error::BlobUnknown(_))
    ));
    assert!(mount(there).await);
    assert_eq!(registry.blob(&target, &there).await.unwrap().size_bytes, 5);
}

#[tokio::test]
async fn the_modes_refuse_what_they_are_there_to_refuse() {
    let locked = |read_only, delete_enabled| {
        Fixture::with(Settings {
            mode: Mode {
                read_only,
                delete_enabled,
            },
            ..Settings::default()
        })
    };
    let body = index(&[]);
    let read_only = locked(true, true);
    assert!(matches!(
        put(&read_only, "v1", &body).await,
        Err(Error::ReadOnly)
    ));
    let blob = digest(Algorithm::Sha256, b"");
    let delete = |fixture: &Fixture| {
        let (registry, push, context) = (
            fixture.registry.clone(),
            fixture.push.clone(),
            fixture.context(),
        );
        async move { registry.delete_blob(&push, &blob, context).await }
    };
    assert!(matches!(delete(&read_only).await, Err(Error::ReadOnly)));
    let keeping = locked(false, false);
    put(&keeping, "v1", &body).await.unwrap();
    assert!(matches!(delete(&keeping).await, Err(Error::DeleteDisabled)));
}

#[tokio::test]
async fn referrers_are_those_of_the_registry_and_of_the_fallback_tag() {
    let fixture = Fixture::new();
    let config = push_blob(&fixture, "{}").await;
    let subject = put(&fixture, "v1", &image(&config, &[], None))
        .await
        .unwrap()
        .digest;
    let layer = push_blob(&fixture, "signature").await;
    let own = put(&fixture, "own", &image(&config, &[layer], Some(&subject)))
        .await
        .unwrap();
    assert_eq!(own.subject, Some(subject));
    // An older client pushed a referrer without a subject, and keeps its list in a tag.
    let layer = push_blob(&fixture, "old signature").await;
    let old_body = image(&config, &[layer], None);
    let old = put(&fixture, "old", &old_body).await.unwrap().digest;
    let child = |digest: &Digest, artifact_type: &str| {
        json!({
            "mediaType": MediaType::OCI_IMAGE.as_str(),
            "digest": digest.to_string(),
            "size": old_body.len(),
            "artifactType": artifact_type,
        })
    };
    let list = index(&[child(&old, "a/old")]);
    let fallback = format!("sha256-{}", subject.hex());
    put(&fixture, &fallback, &list).await.unwrap();
    let list = |wanted: Option<&'static str>| {
        let (registry, grant) = (fixture.registry.clone(), fixture.push.clone());
        async move {
            let page = registry
                .referrers(&grant, &subject, wanted, None)
                .await
                .unwrap();
            assert_eq!(page.next, None);
            let digest = |bytes: &Bytes| {
                let value: Value = serde_json::from_slice(bytes).unwrap();
                Digest::parse(value["digest"].as_str().unwrap()).unwrap()
            };
            page.descriptors.iter().map(digest).collect::<Vec<_>>()
        }
    };
    let mut both = vec![own.digest, old];
    both.sort();
    assert_eq!(list(None).await, both);
    assert_eq!(list(Some("a/old")).await, [old]);
    let registry = &fixture.registry;
    registry
        .delete_manifest(&fixture.push, &old, fixture.context())
        .await
        .unwrap();
    assert_eq!(list(None).await, [own.digest]);
}
