use std::io;
use std::time::Duration;

use http_body_util::BodyExt as _;
use roadstead_oci::{Action, Digest, ManifestError, RepositoryName, Tag};

use roadstead_auth::{Authoriser, Reason, Refusal};

use super::*;
use crate::authorise::{Needs, refuse};

fn digest(hex: char) -> Digest {
    Digest::parse(&format!("sha256:{}", hex.to_string().repeat(64))).unwrap()
}

fn repository() -> RepositoryName {
    RepositoryName::parse("team/app").unwrap()
}

/// Status, headers and errors as a client gets them.
async fn told(failure: Failure) -> (u16, HeaderMap, Vec<Value>) {
    let response = failure.into_response();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(headers[CONTENT_TYPE], "application/json");
    assert_eq!(headers[CONTENT_LENGTH], body.len().to_string().as_str());
    let mut document: Value = serde_json::from_slice(&body).unwrap();
    let errors = document["errors"].as_array_mut().unwrap();
    (status, headers, std::mem::take(errors))
}

async fn check(failure: impl Into<Failure>, status: u16, code: &str) -> Vec<Value> {
    let failure = failure.into();
    let text = format!("{failure:?}");
    let (told_status, _, errors) = told(failure).await;
    assert_eq!(told_status, status, "{text}");
    assert!(
        !errors.is_empty() && errors.iter().all(|error| error["code"] == code),
        "{text}"
    );
    assert!(
        errors
            .iter()
            .all(|error| error["message"].as_str().is_some_and(|it| !it.is_empty()))
    );
    // What is inside the server stays there.
    let shown = Value::Array(errors.clone()).to_string();
    assert!(!shown.contains("secret"), "{shown}");
    errors
}

fn secret() -> io::Error {
    io::Error::other("secret")
}

/// Every variant: one that is new has no arm here, and so no answer that somebody chose.
fn expected(error: &Error) -> (u16, &'static str) {
    match error {
        Error::BlobUnknown(_) => (404, "BLOB_UNKNOWN"),
        Error::BlobReferenced { .. } | Error::ReadOnly | Error::DeleteDisabled => {
            (405, "UNSUPPORTED")
        }
        Error::ManifestUnknown(_) => (404, "MANIFEST_UNKNOWN"),
        Error::NameUnknown(_) => (404, "NAME_UNKNOWN"),
        Error::UploadUnknown => (404, "BLOB_UPLOAD_UNKNOWN"),
        Error::UploadRange { .. } => (416, "RANGE_INVALID"),
        Error::SizeInvalid { .. } => (400, "SIZE_INVALID"),
        Error::DigestMismatch { .. } => (400, "DIGEST_INVALID"),
        Error::ManifestInvalid(_) | Error::ReferenceSize(_) | Error::LayerUrl { .. } => {
            (400, "MANIFEST_INVALID")
        }
        Error::ReferencesUnknown(_) => (400, "MANIFEST_BLOB_UNKNOWN"),
        Error::NotGranted(_) | Error::TagsTaken(_) => (403, "DENIED"),
        Error::Body(BodyFailure::TooSlow) => (408, "SIZE_INVALID"),
        Error::Body(BodyFailure::Disconnected | BodyFailure::Malformed) => (400, "SIZE_INVALID"),
        Error::Storage(StorageError::Full { .. }) | Error::Metadata(MetadataError::Full(_)) => {
            (507, "UNAVAILABLE")
        }
        Error::Storage(StorageError::TooManyFiles { .. }) => (503, "UNAVAILABLE"),
        Error::Metadata(MetadataError::TooManyUploads { .. }) => (429, "TOOMANYREQUESTS"),
        Error::Storage(_) | Error::Metadata(_) | Error::HashState | Error::CutOff => {
            (500, "UNKNOWN")
        }
    }
}

#[tokio::test]
async fn every_error_of_the_registry_has_its_answer() {
    let tag = || Reference::Tag(Tag::parse("v1").unwrap());
    for error in [
        Error::BlobUnknown(digest('a')),
        Error::BlobReferenced { manifests: 3 },
        Error::TagsTaken(vec![Tag::parse("v1").unwrap()]),
        Error::ManifestUnknown(tag()),
        Error::ManifestUnknown(Reference::Digest(digest('a'))),
        Error::NameUnknown(repository()),
        Error::UploadUnknown,
        Error::UploadRange { offset: 7 },
        Error::SizeInvalid {
            declared: 1,
            actual: 2,
        },
        Error::DigestMismatch {
            expected: digest('a'),
            actual: digest('b'),
        },
        Error::ManifestInvalid(ManifestError::NoType),
        Error::ReferencesUnknown(vec![digest('a'), digest('b')]),
        Error::ReferenceSize(vec![(digest('a'), 7)]),
        Error::LayerUrl {
            digest: digest('a'),
        },
        Error::ReadOnly,
        Error::DeleteDisabled,
        Error::NotGranted(Action::Push),
        Error::Body(BodyFailure::Disconnected),
        Error::Body(BodyFailure::Malformed),
        Error::Body(BodyFailure::TooSlow),
        Error::Storage(StorageError::Full {
            action: "write secret",
            source: secret(),
        }),
        Error::Storage(StorageError::ReadOnly {
            action: "write secret",
            source: secret(),
        }),
        Error::Storage(StorageError::TooManyFiles {
            action: "open secret",
            source: secret(),
        }),
        Error::Storage(StorageError::CutOff),
        Error::Metadata(MetadataError::TooManyUploads { limit: 5 }),
        Error::Metadata(MetadataError::Misuse("secret")),
        Error::Metadata(MetadataError::Stopped),
        Error::HashState,
        Error::CutOff,
    ] {
        let (status, code) = expected(&error);
        check(error, status, code).await;
    }
}

#[tokio::test]
async fn details_say_what_and_where() {
    let a = digest('a').to_string();
    let detail = async |error: Error| {
        let (status, code) = expected(&error);
        check(error, status, code).await.remove(0)["detail"].take()
    };
    assert_eq!(detail(Error::BlobUnknown(digest('a'))).await, a);
    assert_eq!(
        detail(Error::BlobReferenced { manifests: 3 }).await,
        json!({"manifests": 3})
    );
    assert_eq!(
        detail(Error::NameUnknown(repository())).await,
        json!({"name": "team/app"})
    );
    let unknown = Error::ReferencesUnknown(vec![digest('a'), digest('b')]);
    let errors = check(unknown, 400, "MANIFEST_BLOB_UNKNOWN").await;
    assert_eq!(errors.len(), 2);
    assert_eq!(errors[0]["detail"], a);
}

#[tokio::test]
async fn causes_go_to_the_log() {
    let failure = Failure::from(Error::Storage(StorageError::ReadOnly {
        action: "write secret",
        source: secret(),
    }));
    let cause = failure.cause.clone().unwrap();
    assert!(cause.contains("secret"), "{cause}");
    assert!(Failure::from(Error::UploadUnknown).cause.is_none());
}

#[tokio::test]
async fn paths_and_queries_that_cannot_be_read_have_their_answers() {
    let text = || "why".to_owned();
    for (error, status, code) in [
        (RouteError::Unknown, 404, "NAME_UNKNOWN"),
        (RouteError::Malformed, 400, "NAME_INVALID"),
        (RouteError::Name(text()), 400, "NAME_INVALID"),
        (RouteError::Digest(text()), 400, "DIGEST_INVALID"),
        (RouteError::Tag(text()), 400, "TAG_INVALID"),
        (RouteError::Upload, 404, "BLOB_UPLOAD_UNKNOWN"),
    ] {
        check(error, status, code).await;
    }
    for error in [
        QueryError::TooMany,
        QueryError::Malformed,
        QueryError::Repeated("n"),
    ] {
        check(error, 400, "UNSUPPORTED").await;
    }
}

#[tokio::test]
async fn refusals_say_how_to_get_in_or_when_to_come_back() {
    let authoriser = Authoriser::open();
    let refuse = |refusal| refuse(&authoriser, refusal, &Needs::default(), None);
    for (refusal, status, code) in [
        (
            Refusal::Unauthenticated(Reason::Missing),
            401,
            "UNAUTHORIZED",
        ),
        (
            Refusal::InsufficientScope {
                rule: "secret".to_owned(),
            },
            401,
            "UNAUTHORIZED",
        ),
        (
            Refusal::Denied {
                principal: "secret".to_owned(),
                rule: "secret".to_owned(),
            },
            403,
            "DENIED",
        ),
        (Refusal::BadTokenRequest("no"), 400, "UNSUPPORTED"),
        (Refusal::Unavailable(Box::new(secret())), 503, "UNAVAILABLE"),
        (
            Refusal::Busy {
                retry_after: Duration::from_millis(10),
            },
            429,
            "TOOMANYREQUESTS",
        ),
    ] {
        let (found, headers, errors) = told(refuse(refusal)).await;
        assert_eq!((found, errors[0]["code"].as_str()), (status, Some(code)));
        assert_eq!(headers.contains_key(WWW_AUTHENTICATE), status == 401);
        if matches!(status, 429 | 503) {
            assert_eq!(headers[RETRY_AFTER], "1");
        }
    }
}

#[tokio::test]
async fn a_session_that_cannot_go_on_there_says_where() {
    let id = UploadId::parse("6f9619ff-8b86-4011-b42d-00c04fc964ff").unwrap();
    let failure = Failure::from(Error::UploadRange { offset: 10 });
    let (_, headers, _) = told(failure.resume_at("/v2/a/blobs/uploads/x", id, 10)).await;
    assert_eq!(headers[LOCATION], "/v2/a/blobs/uploads/x");
    assert_eq!(headers[RANGE], "0-9");

    let (status, headers, _) =
        told(Failure::method_not_allowed(&[Method::GET, Method::HEAD])).await;
    assert_eq!(
        (status, headers[ALLOW].to_str().unwrap()),
        (405, "GET, HEAD")
    );
}
