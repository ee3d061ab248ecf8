//! What the walk may do, and how often.

use proptest::prelude::*;
use proptest::sample::select;

/// One operation on a small world: few repositories, blobs, manifests, tags and sessions, so that
/// they meet.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Begin {
        repository: usize,
        session: u128,
        key: KeyOf,
        principal: &'static str,
        hours: u32,
    },
    Advance {
        session: u128,
        stale: bool,
        durable: bool,
        hours: u32,
    },
    Cancel {
        repository: usize,
        session: u128,
    },
    Finish {
        repository: usize,
        session: Option<u128>,
        stale: bool,
        blob: u32,
        inline: bool,
    },
    Mount {
        from: usize,
        to: usize,
        blob: u32,
    },
    RenewLease {
        repository: usize,
        blob: u32,
    },
    DeleteBlob {
        repository: usize,
        blob: u32,
    },
    MarkMissing {
        blob: u32,
    },
    Put {
        repository: usize,
        manifest: u32,
        tags: Vec<usize>,
        required: bool,
        wrong: bool,
    },
    DeleteTag {
        repository: usize,
        tag: usize,
    },
    DeleteManifest {
        repository: usize,
        manifest: u32,
    },
    Expire {
        limit: u32,
    },
    Trash {
        forget: bool,
    },
    Sleep {
        hours: u32,
    },
}

/// Which key a session is begun with.
#[derive(Debug, Clone, Copy)]
pub(super) enum KeyOf {
    Fresh,
    /// The key of another session, if that is open.
    Open(u128),
}

pub(super) const REPOSITORIES: [&str; 3] = ["a", "b/c", "a-b"];
pub(super) const TAGS: [&str; 3] = ["latest", "v1", "V1"];
pub(super) const BLOBS: u32 = 4;
pub(super) const MANIFESTS: u32 = 6;
pub(super) const SESSIONS: u128 = 4;

pub(super) fn step() -> impl Strategy<Value = Step> {
    let repository = || 0..REPOSITORIES.len();
    let session = || 0..SESSIONS;
    let blob = || 0..BLOBS;
    let rarely = || proptest::bool::weighted(0.15);
    let key = prop_oneof![4 => Just(KeyOf::Fresh), 1 => session().prop_map(KeyOf::Open)];
    let principal = select(vec!["ada", "bob"]);
    let hours = || 1..60_u32;
    let tags = prop::collection::vec(0..TAGS.len(), 0..3);
    prop_oneof![
        4 => (repository(), session(), key, principal, hours()).prop_map(
            |(repository, session, key, principal, hours)| Step::Begin {
                repository, session, key, principal, hours,
            }
        ),
        2 => (session(), rarely(), any::<bool>(), hours()).prop_map(
            |(session, stale, durable, hours)| Step::Advance { session, stale, durable, hours }
        ),
        1 => (repository(), session())
            .prop_map(|(repository, session)| Step::Cancel { repository, session }),
        6 => (
            repository(),
            prop::option::weighted(0.7, session()),
            rarely(),
            blob(),
            rarely(),
        ).prop_map(|(repository, session, stale, blob, inline)| Step::Finish {
            repository, session, stale, blob, inline,
        }),
        2 => (repository(), repository(), blob())
            .prop_map(|(from, to, blob)| Step::Mount { from, to, blob }),
        2 => (repository(), blob())
            .prop_map(|(repository, blob)| Step::RenewLease { repository, blob }),
        2 => (repository(), blob())
            .prop_map(|(repository, blob)| Step::DeleteBlob { repository, blob }),
        1 => blob().prop_map(|blob| Step::MarkMissing { blob }),
        8 => (repository(), 0..MANIFESTS, tags, any::<bool>(), rarely()).prop_map(
            |(repository, manifest, tags, required, wrong)| Step::Put {
                repository, manifest, tags, required, wrong,
            }
        ),
        1 => (repository(), 0..TAGS.len())
            .prop_map(|(repository, tag)| Step::DeleteTag { repository, tag }),
        2 => (repository(), 0..MANIFESTS)
            .prop_map(|(repository, manifest)| Step::DeleteManifest { repository, manifest }),
        1 => (0..3_u32).prop_map(|limit| Step::Expire { limit }),
        1 => any::<bool>().prop_map(|forget| Step::Trash { forget }),
        2 => (1..40_u32).prop_map(|hours| Step::Sleep { hours }),
    ]
}
