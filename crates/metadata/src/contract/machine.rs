//! A random walk: the same operations on both engines give the same answers and leave the same
//! rows, and the database keeps its invariants.

mod step;

use std::fmt::{self, Write as _};

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::*;
use step::{BLOBS, KeyOf, MANIFESTS, REPOSITORIES, SESSIONS, Step, TAGS, step};

/// An engine with what a caller remembers between steps.
struct Walker {
    fixture: Fixture,
    /// Counts the keys that were given out: none is given twice.
    keys: u128,
    /// The last key of each session.
    key_of: [Uuid; SESSIONS as usize],
}

impl Walker {
    fn on(fixture: Fixture) -> Walker {
        Walker {
            fixture,
            keys: SESSIONS,
            key_of: std::array::from_fn(|n| key(n as u128)),
        }
    }

    /// Takes a step and tells the answer.
    async fn take(&mut self, step: &Step) -> String {
        let meta = self.fixture.meta.clone();
        match step.clone() {
            Step::Begin {
                repository,
                session,
                key,
                principal,
                hours,
            } => self.begin(repository, session, key, principal, hours).await,
            Step::Advance {
                session,
                stale,
                durable,
                hours,
            } => {
                let fence = self.fence(session, stale).await;
                let offset = fence * 10;
                let step = Advance {
                    durable: durable.then(|| progress(offset / 2)),
                    expires_at: self.later(hours),
                    ..advance(offset)
                };
                told(meta.advance_upload(upload_id(session), fence, step).await)
            }
            Step::Cancel {
                repository,
                session,
            } => {
                let repository = name(REPOSITORIES[repository]);
                told(meta.cancel_upload(&repository, upload_id(session)).await)
            }
            Step::Finish {
                repository,
                session,
                stale,
                blob,
                inline,
            } => {
                let upload = match session {
                    Some(session) => Some((upload_id(session), self.fence(session, stale).await)),
                    None => None,
                };
                let place = match session {
                    Some(session) if !inline => Place::Object(self.key_of[session as usize]),
                    _ => Place::Inline(content(blob)),
                };
                let end = finish(REPOSITORIES[repository], blob, upload, place);
                told(meta.finish_upload(end).await)
            }
            Step::Mount { from, to, blob } => {
                let mount = self
                    .fixture
                    .mount(blob, REPOSITORIES[from], REPOSITORIES[to]);
                format!("{}", mount.await)
            }
            Step::RenewLease {
                repository,
                blob: n,
            } => told(
                meta.renew_lease(&name(REPOSITORIES[repository]), &blob(n))
                    .await,
            ),
            Step::DeleteBlob {
                repository,
                blob: n,
            } => {
                let repository = name(REPOSITORIES[repository]);
                told(meta.delete_blob(&repository, &blob(n), origin()).await)
            }
            Step::MarkMissing { blob: n } => self.mark_missing(n).await,
            Step::Put {
                repository,
                manifest,
                tags,
                required,
                wrong,
            } => {
                let new = world(REPOSITORIES[repository], manifest, &tags, required, wrong);
                told(meta.put_manifest(new).await)
            }
            Step::DeleteTag { repository, tag: n } => {
                let repository = name(REPOSITORIES[repository]);
                told(meta.delete_tag(&repository, &tag(TAGS[n]), origin()).await)
            }
            Step::DeleteManifest {
                repository,
                manifest,
            } => {
                let repository = name(REPOSITORIES[repository]);
                let digest = manifest_digest(manifest);
                told(meta.delete_manifest(&repository, &digest, origin()).await)
            }
            Step::Expire { limit } => told(meta.expire_uploads(self.later(0), limit).await),
            Step::Trash { forget } => match self.fixture.trash().await.first() {
                Some(key) if forget => told(meta.forget_trash(*key).await),
                Some(key) => told(meta.retry_trash(*key).await),
                None => "no trash".to_owned(),
            },
            Step::Sleep { hours } => {
                self.fixture.clock.advance(HOUR * hours);
                "rested".to_owned()
            }
        }
    }

    async fn begin(
        &mut self,
        repository: usize,
        session: u128,
        of: KeyOf,
        principal: &'static str,
        hours: u32,
    ) -> String {
        let key = match of {
            KeyOf::Open(other) if self.row(other).await.is_some() => self.key_of[other as usize],
            _ => {
                self.keys += 1;
                key(self.keys)
            }
        };
        let repository = name(REPOSITORIES[repository]);
        let upload = NewUpload {
            principal,
            expires_at: self.later(hours),
            sessions_max: 2,
            ..new_upload(&repository, upload_id(session), key)
        };
        let begun = self.fixture.meta.begin_upload(upload).await;
        if begun.is_ok() {
            self.key_of[session as usize] = key;
        }
        told(begun)
    }

    async fn mark_missing(&self, n: u32) -> String {
        let meta = &self.fixture.meta;
        for repository in REPOSITORIES {
            let row = meta.blob(&name(repository), &blob(n)).await.unwrap();
            if let Some(Place::Object(key)) = row.map(|row| row.place) {
                return told(meta.mark_missing(&blob(n), key).await);
            }
        }
        "no object".to_owned()
    }

    async fn row(&self, session: u128) -> Option<crate::UploadRow> {
        for repository in REPOSITORIES {
            let (repository, id) = (name(repository), upload_id(session));
            let row = self.fixture.meta.upload(&repository, id).await.unwrap();
            if row.is_some() {
                return row;
            }
        }
        None
    }

    /// The session's fence, or one that it does not have.
    async fn fence(&self, session: u128, stale: bool) -> u64 {
        let fence = self.row(session).await.map_or(0, |row| row.fence);
        fence + u64::from(stale)
    }

    fn later(&self, hours: u32) -> Timestamp {
        use crate::Clock as _;
        self.fixture.clock.now().plus(HOUR * hours)
    }

    /// Everything that can be read, as text.
    async fn rows(&self) -> Result<String, fmt::Error> {
        let (f, meta) = (&self.fixture, &self.fixture.meta);
        let mut text = String::new();
        for repository in REPOSITORIES {
            let id = name(repository);
            writeln!(
                text,
                "{repository} tags {:?}",
                meta.tags(&id, None, 2).await
            )?;
            writeln!(
                text,
                "{repository} later {:?}",
                meta.tags(&id, Some("h"), 9).await
            )?;
            for n in 0..BLOBS {
                let row = meta.blob(&id, &blob(n)).await;
                let lease = matches!(row, Ok(Some(_))).then(|| f.blob_lease(repository, n));
                writeln!(text, "{repository} blob {n} {row:?} {lease:?}")?;
            }
            for n in 0..MANIFESTS {
                let reference = Reference::Digest(manifest_digest(n));
                let row = meta.manifest(&id, &reference).await;
                let lease = matches!(row, Ok(Some(_))).then(|| f.manifest_lease(repository, n));
                writeln!(text, "{repository} manifest {n} {row:?} {lease:?}")?;
                let subject = manifest_digest(n);
                for (of_type, after, limit) in [
                    (None, None, 9),
                    (Some("x/odd"), None, 9),
                    (None, Some(blob(1)), 1),
                ] {
                    let page = meta
                        .referrers(&id, &subject, of_type, after.as_ref(), limit, 400)
                        .await;
                    writeln!(text, "{repository} referrers {n} {of_type:?} {page:?}")?;
                }
            }
            for name_of_tag in TAGS {
                let reference = Reference::Tag(tag(name_of_tag));
                let summary = meta.manifest_summary(&id, &reference).await;
                writeln!(text, "{repository} {name_of_tag} {summary:?}")?;
            }
        }
        for session in 0..SESSIONS {
            writeln!(text, "session {session} {:?}", self.row(session).await)?;
        }
        for n in 0..BLOBS {
            writeln!(text, "holders {n} {:?}", meta.holders(&blob(n), 2).await)?;
        }
        writeln!(text, "{:?}", meta.repositories(None, 2).await)?;
        writeln!(text, "{:?}", meta.repositories(Some("a"), 9).await)?;
        writeln!(text, "{:?}", meta.expired_uploads(self.later(20), 3).await)?;
        writeln!(text, "{:?}", meta.trash_ready(9).await)?;
        for line in f.lines().await {
            writeln!(text, "{line:?}")?;
        }
        Ok(text)
    }
}

/// Manifest `n` of the world: 0 and 1 are images, 2 an index of them, 3 an index of that, 4 and 5
/// name a subject.
fn world(repository: &str, n: u32, tags: &[usize], required: bool, wrong: bool) -> NewManifest {
    let mut new = manifest(repository, n);
    new = match n {
        0 => new.naming(0, required).naming(1, required),
        1 => new
            .naming(1, required)
            .naming(2, required)
            .naming(1, required),
        2 => new.containing(0, required).containing(1, required),
        3 => new.containing(2, required).naming(3, required),
        4 => new.with_subject(0, "x/even").naming(0, required),
        _ => new.with_subject(0, "x/odd").containing(4, required),
    };
    if wrong && let Some(edge) = new.blobs.first_mut() {
        edge.size_bytes += 1;
    }
    tags.iter().fold(new, |new, n| new.tagged(TAGS[*n]))
}

fn told<T: Debug>(answer: Result<T, MetadataError>) -> String {
    format!("{answer:?}")
}

async fn walk(steps: &[Step]) -> TestCaseResult {
    let mut reference = Walker::on(memory());
    let mut database = Walker::on(sqlite());
    for (n, step) in steps.iter().enumerate() {
        let expected = reference.take(step).await;
        prop_assert_eq!(database.take(step).await, expected, "step {} {:?}", n, step);
        if n % LOOK_EVERY == LOOK_EVERY - 1 || n + 1 == steps.len() {
            let (expected, found) = (reference.rows().await, database.rows().await);
            let (expected, found) = (expected.unwrap(), found.unwrap());
            for (expected, found) in expected.lines().zip(found.lines()) {
                prop_assert_eq!(found, expected, "after step {} {:?}", n, step);
            }
            prop_assert_eq!(found.len(), expected.len());
        }
    }
    if let Meta::Sqlite(sqlite) = &database.fixture.meta {
        prop_assert_eq!(sqlite.broken_invariants(), Vec::<String>::new());
    }
    Ok(())
}

/// Steps between two looks at all rows.
const LOOK_EVERY: usize = 8;

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn both_engines_tell_the_same_story(steps in prop::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(walk(&steps))?;
    }
}
