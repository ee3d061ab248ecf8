//! Random operations on both engines: every answer and everything that can be read afterwards is
//! the same.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use roadstead_oci::Reference;
use uuid::Uuid;

use super::{Fixture, digest, edge, image, memory, name, origin, progress, sqlite, tag};
use crate::{Advance, Edge, FinishUpload, Metadata, Place, UploadId};

const REPOSITORIES: [&str; 3] = ["a", "a/b", "b"];
const TAGS: [&str; 3] = ["v1", "v2", "latest"];

/// One operation; numbers choose from few things, so that operations meet.
#[derive(Debug, Clone)]
enum Operation {
    Begin {
        repository: usize,
        session: u8,
    },
    Advance {
        session: u8,
        fence: u64,
        durable: bool,
    },
    Cancel {
        repository: usize,
        session: u8,
    },
    Finish {
        repository: usize,
        session: u8,
        fence: u64,
        blob: u8,
        inline: bool,
    },
    Push {
        repository: usize,
        blob: u8,
    },
    Mount {
        from: usize,
        to: usize,
        blob: u8,
    },
    Renew {
        repository: usize,
        blob: u8,
    },
    DeleteBlob {
        repository: usize,
        blob: u8,
    },
    Lose {
        blob: u8,
        session: u8,
    },
    Put {
        repository: usize,
        manifest: u8,
        blobs: Vec<u8>,
        children: Vec<u8>,
        required: bool,
        tags: Vec<usize>,
        subject: Option<u8>,
    },
    DeleteTag {
        repository: usize,
        tag: usize,
    },
    DeleteManifest {
        repository: usize,
        manifest: u8,
    },
    Expire,
    Forget {
        session: u8,
    },
    Retry {
        session: u8,
    },
    Wait {
        hours: u64,
    },
}

fn operation() -> impl Strategy<Value = Operation> {
    let (repository, session, blob, manifest) = (0..3_usize, 0..4_u8, 1..4_u8, 10..14_u8);
    let few = |numbers: std::ops::Range<u8>| proptest::collection::vec(numbers, 0..3);
    prop_oneof![
        (repository.clone(), session.clone()).prop_map(|(repository, session)| Operation::Begin {
            repository,
            session
        }),
        (session.clone(), 0..3_u64, any::<bool>()).prop_map(|(session, fence, durable)| {
            Operation::Advance {
                session,
                fence,
                durable,
            }
        }),
        (repository.clone(), session.clone()).prop_map(|(repository, session)| Operation::Cancel {
            repository,
            session
        }),
        (
            repository.clone(),
            session.clone(),
            0..3_u64,
            blob.clone(),
            any::<bool>()
        )
            .prop_map(
                |(repository, session, fence, blob, inline)| Operation::Finish {
                    repository,
                    session,
                    fence,
                    blob,
                    inline
                }
            ),
        (repository.clone(), blob.clone())
            .prop_map(|(repository, blob)| Operation::Push { repository, blob }),
        (repository.clone(), repository.clone(), blob.clone())
            .prop_map(|(from, to, blob)| Operation::Mount { from, to, blob }),
        (repository.clone(), blob.clone())
            .prop_map(|(repository, blob)| Operation::Renew { repository, blob }),
        (repository.clone(), blob.clone())
            .prop_map(|(repository, blob)| Operation::DeleteBlob { repository, blob }),
        (blob, session.clone()).prop_map(|(blob, session)| Operation::Lose { blob, session }),
        (
            repository.clone(),
            manifest.clone(),
            few(1..4),
            few(10..14),
            any::<bool>(),
            proptest::collection::vec(0..3_usize, 0..3),
            proptest::option::of(10..14_u8),
        )
            .prop_map(
                |(repository, manifest, blobs, children, required, tags, subject)| {
                    Operation::Put {
                        repository,
                        manifest,
                        blobs,
                        children,
                        required,
                        tags,
                        subject,
                    }
                }
            ),
        (repository.clone(), 0..3_usize)
            .prop_map(|(repository, tag)| Operation::DeleteTag { repository, tag }),
        (repository, manifest).prop_map(|(repository, manifest)| Operation::DeleteManifest {
            repository,
            manifest
        }),
        Just(Operation::Expire),
        session
            .clone()
            .prop_map(|session| Operation::Forget { session }),
        session.prop_map(|session| Operation::Retry { session }),
        (0..30_u64).prop_map(|hours| Operation::Wait { hours }),
    ]
}

/// The same ids and keys for both engines.
#[derive(Default)]
struct Names(BTreeMap<u8, (UploadId, Uuid)>);

impl Names {
    fn begin(&mut self, session: u8) -> (UploadId, Uuid) {
        let fresh = (UploadId::random(), Uuid::new_v4());
        self.0.insert(session, fresh);
        fresh
    }

    fn of(&self, session: u8) -> (UploadId, Uuid) {
        self.0
            .get(&session)
            .copied()
            .unwrap_or((UploadId::from_uuid(Uuid::nil()), Uuid::nil()))
    }
}

/// Runs an operation and shows its answer as text.
async fn run(fixture: &Fixture, operation: &Operation, names: &Names) -> String {
    let meta = &fixture.meta;
    let repository = |number: usize| name(REPOSITORIES[number]);
    match operation {
        Operation::Begin {
            repository,
            session,
        } => {
            let (id, key) = names.of(*session);
            let begun = fixture
                .begin_with(REPOSITORIES[*repository], "alice", id, key, 3)
                .await;
            format!("{begun:?}")
        }
        Operation::Advance {
            session,
            fence,
            durable,
        } => {
            let advance = Advance {
                progress: progress(7),
                durable: durable.then(|| progress(5)),
                boot_id: "boot".to_owned(),
                expires_at: fixture.now().plus(super::HOUR),
            };
            let advanced = meta
                .advance_upload(names.of(*session).0, *fence, advance)
                .await;
            format!("{advanced:?}")
        }
        Operation::Cancel {
            repository: number,
            session,
        } => {
            let id = names.of(*session).0;
            format!("{:?}", meta.cancel_upload(&repository(*number), id).await)
        }
        Operation::Finish {
            repository: number,
            session,
            fence,
            blob,
            inline,
        } => {
            let (id, key) = names.of(*session);
            let bytes = Place::Inline(Bytes::from_static(b"bytes"));
            let finish = FinishUpload {
                repository: repository(*number),
                upload: Some((id, *fence)),
                digest: digest(*blob),
                size_bytes: 5,
                place: if *inline { bytes } else { Place::Object(key) },
                origin: origin(),
            };
            format!("{:?}", meta.finish_upload(finish).await)
        }
        Operation::Push { repository, blob } => fixture
            .push_blob(REPOSITORIES[*repository], *blob)
            .await
            .to_string(),
        Operation::Mount { from, to, blob } => fixture
            .mount(REPOSITORIES[*from], REPOSITORIES[*to], *blob)
            .await
            .to_string(),
        Operation::Renew {
            repository: number,
            blob,
        } => {
            format!(
                "{:?}",
                meta.renew_lease(&repository(*number), &digest(*blob)).await
            )
        }
        Operation::DeleteBlob {
            repository: number,
            blob,
        } => {
            let deleted = meta
                .delete_blob(&repository(*number), &digest(*blob), origin())
                .await;
            format!("{deleted:?}")
        }
        Operation::Lose { blob, session } => {
            format!(
                "{:?}",
                meta.mark_missing(&digest(*blob), names.of(*session).1)
                    .await
            )
        }
        Operation::Put {
            repository,
            manifest,
            blobs,
            children,
            required,
            tags,
            subject,
        } => {
            let edge = |size| {
                move |number: &u8| Edge {
                    required: *required,
                    ..edge(digest(*number), size)
                }
            };
            let mut new = image(
                REPOSITORIES[*repository],
                *manifest,
                blobs.iter().map(edge(5)).collect(),
            );
            new.children = children
                .iter()
                .filter(|child| *child != manifest)
                .map(edge(10))
                .collect();
            new.tags = tags.iter().map(|number| tag(TAGS[*number])).collect();
            new.subject = subject.map(digest);
            new.referrer = subject.map(|_| Bytes::from_static(b"{}"));
            format!("{:?}", fixture.put(new).await)
        }
        Operation::DeleteTag {
            repository: number,
            tag: text,
        } => {
            let deleted = meta
                .delete_tag(&repository(*number), &tag(TAGS[*text]), origin())
                .await;
            format!("{deleted:?}")
        }
        Operation::DeleteManifest {
            repository: number,
            manifest,
        } => {
            let deleted = meta
                .delete_manifest(&repository(*number), &digest(*manifest), origin())
                .await;
            format!("{deleted:?}")
        }
        Operation::Expire => format!("{:?}", meta.expire_uploads(fixture.now(), 2).await),
        Operation::Forget { session } => {
            format!("{:?}", meta.forget_trash(names.of(*session).1).await)
        }
        Operation::Retry { session } => {
            format!("{:?}", meta.retry_trash(names.of(*session).1).await)
        }
        Operation::Wait { hours } => {
            fixture.clock.advance(Duration::from_secs(hours * 3600));
            String::new()
        }
    }
}

/// Everything that can be read, as text.
async fn everything(fixture: &Fixture, names: &Names) -> Vec<String> {
    let meta = &fixture.meta;
    let mut all = Vec::new();
    for text in REPOSITORIES {
        let repository = name(text);
        for number in 1..4 {
            all.push(format!("{:?}", fixture.blob(text, number).await));
            all.push(format!("{:?}", fixture.blob_lease(text, number)));
        }
        for number in 10..14 {
            let reference = Reference::Digest(digest(number));
            all.push(format!(
                "{:?}",
                meta.manifest(&repository, &reference).await.unwrap()
            ));
            all.push(format!("{:?}", fixture.manifest_lease(text, number)));
            let subject = digest(number);
            let referrers = meta
                .referrers(&repository, &subject, None, None, 10, 100)
                .await;
            all.push(format!("{:?}", referrers.unwrap()));
        }
        all.push(format!(
            "{:?}",
            meta.tags(&repository, None, 10).await.unwrap()
        ));
        for (id, _) in names.0.values() {
            all.push(format!(
                "{:?}",
                meta.upload(&repository, *id).await.unwrap()
            ));
        }
    }
    for number in 1..4 {
        all.push(format!(
            "{:?}",
            meta.holders(&digest(number), 10).await.unwrap()
        ));
    }
    all.push(format!("{:?}", meta.repositories(None, 10).await.unwrap()));
    all.push(format!("{:?}", meta.trash_ready(100).await.unwrap()));
    all.push(format!(
        "{:?}",
        meta.expired_uploads(fixture.now(), 100).await.unwrap()
    ));
    all.push(format!("{:?}", fixture.lines().await));
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn both_engines_give_the_same_answers(
        operations in proptest::collection::vec(operation(), 1..60)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (reference, database) = (memory(), sqlite());
            let mut names = Names::default();
            for operation in &operations {
                if let Operation::Begin { session, .. } = operation {
                    names.begin(*session);
                }
                let expected = run(&reference, operation, &names).await;
                let found = run(&database, operation, &names).await;
                prop_assert_eq!(found, expected, "{:?}", operation);
            }
            let (found, expected) =
                (everything(&database, &names).await, everything(&reference, &names).await);
            prop_assert_eq!(found, expected);
            Ok(())
        })?;
    }
}
