//! One repository whose few tags everybody moves and deletes at the same time.
//!
//! What a tag may lead to after a crash follows from when each write began and ended: a write can
//! be the last one unless another that was acknowledged began after it had ended.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Instant;

use crate::harness::{Image, Manifest, Request, sha256};
use crate::random::Random;
use crate::worker::{Died, Weather, unique};

const REPOSITORY: &str = "shared/app";
const TAGS: [&str; 3] = ["latest", "edge", "stable"];
/// Manifests above which the untagged ones are deleted between two cycles.
const MANIFESTS_MAX: usize = 60;

/// A write of a tag: a digest, or nothing.
#[derive(Clone, Debug)]
struct Write {
    value: Option<String>,
    begin: Instant,
    /// Not answered, so it may have happened up to the crash, or never.
    end: Option<Instant>,
}

#[derive(Default)]
struct Known {
    writes: BTreeMap<&'static str, Vec<Write>>,
    /// Digest to bytes and whether it must be there.
    manifests: BTreeMap<String, (Vec<u8>, bool)>,
    gone: Vec<String>,
    made: usize,
}

pub(crate) struct Shared {
    image: Image,
    known: Mutex<Known>,
}

impl Shared {
    pub(crate) fn new() -> Self {
        Self {
            image: Image::new("shared"),
            known: Mutex::default(),
        }
    }

    /// Pushes the blobs that all manifests name.
    pub(crate) fn prepare(&self, at: SocketAddr) {
        for blob in self.image.blobs() {
            let target = format!("/v2/{REPOSITORY}/blobs/uploads/?digest={}", blob.digest);
            let push = Request::new(at, "POST", &target).body(&blob.bytes);
            push.send().expect(201);
        }
    }

    /// Moves or deletes a tag.
    pub(crate) fn act(
        &self,
        at: SocketAddr,
        random: &mut Random,
        weather: Weather,
    ) -> Result<(), Died> {
        let tag = TAGS[random.below(TAGS.len())];
        let target = format!("/v2/{REPOSITORY}/manifests/{tag}");
        let deletes = random.percent(25);
        let manifest = self.next_manifest();
        let (request, status, value) = if deletes {
            (Request::new(at, "DELETE", &target), 202, None)
        } else {
            let request = Request::new(at, "PUT", &target)
                .header("Content-Type", &manifest.media_type)
                .body(&manifest.bytes);
            (request, 201, Some(manifest.digest.clone()))
        };
        let begin = Instant::now();
        if !deletes {
            let entry = (manifest.bytes.clone(), false);
            let mut known = self.known.lock().unwrap();
            known.manifests.insert(manifest.digest.clone(), entry);
        }
        let answer = request.exchange();
        let end = answer.as_ref().ok().map(|_| Instant::now());
        let mut known = self.known.lock().unwrap();
        let failed = answer.as_ref().is_ok_and(|answer| answer.status >= 500);
        assert!(weather.failing || !failed, "{answer:?}");
        if deletes && answer.as_ref().is_ok_and(|answer| answer.status == 404) {
            // It found nothing to delete, and wrote nothing.
            return Ok(());
        }
        if let Ok(answer) = &answer
            && !failed
        {
            assert_eq!(answer.status, status, "{answer:?}");
            if let Some((_, acknowledged)) = known.manifests.get_mut(&manifest.digest) {
                *acknowledged = true;
            }
        }
        let end = end.filter(|_| !failed);
        let write = Write { value, begin, end };
        known.writes.entry(tag).or_default().push(write);
        answer.map(drop).map_err(Died::from)
    }

    fn next_manifest(&self) -> Manifest {
        let mut known = self.known.lock().unwrap();
        known.made += 1;
        unique(&self.image, &known.made.to_string())
    }

    /// Compares, while nobody writes; what is found is certain from then on.
    pub(crate) fn check(&self, at: SocketAddr) -> Result<(), Died> {
        let mut known = self.known.lock().unwrap();
        for tag in TAGS {
            let writes = known.writes.entry(tag).or_default();
            let found = read(at, tag)?;
            let digest = found.as_ref().map(|bytes| sha256(bytes));
            assert!(
                possible(writes).contains(&&digest),
                "{tag} leads to {digest:?} after {writes:#?}"
            );
            let now = Instant::now();
            *writes = vec![Write {
                value: digest.clone(),
                begin: now,
                end: Some(now),
            }];
            if let Some(digest) = digest {
                let (bytes, _) = &known.manifests[&digest];
                assert!(found.as_ref() == Some(bytes), "{tag} has other bytes");
            }
        }
        let mut absent = Vec::new();
        for (digest, (bytes, acknowledged)) in &mut known.manifests {
            match read(at, digest)? {
                Some(found) => assert!(found == *bytes, "{digest} has other bytes"),
                None => {
                    assert!(!*acknowledged, "{digest} is lost");
                    absent.push(digest.clone());
                }
            }
            *acknowledged = true;
        }
        for digest in absent {
            known.manifests.remove(&digest);
        }
        for digest in known.gone.iter().rev().take(20) {
            assert_eq!(read(at, digest)?, None, "{digest} is back");
        }
        for blob in self.image.blobs() {
            let target = format!("/v2/{REPOSITORY}/blobs/{}", blob.digest);
            let answer = Request::new(at, "GET", &target).exchange();
            let answer = answer?;
            assert!(answer.expect(200).body == blob.bytes);
        }
        Ok(())
    }

    /// Deletes what no tag leads to, so that it does not grow for ever.
    pub(crate) fn tidy(&self, at: SocketAddr) {
        let mut known = self.known.lock().unwrap();
        if known.manifests.len() <= MANIFESTS_MAX {
            return;
        }
        let current: Vec<String> = known
            .writes
            .values()
            .flatten()
            .filter_map(|write| write.value.clone())
            .collect();
        let idle: Vec<String> = known
            .manifests
            .keys()
            .filter(|digest| !current.contains(digest))
            .cloned()
            .collect();
        for digest in idle {
            let target = format!("/v2/{REPOSITORY}/manifests/{digest}");
            Request::new(at, "DELETE", &target).send().expect(202);
            known.manifests.remove(&digest);
            known.gone.push(digest);
        }
    }
}

/// The values that can stand last.
fn possible(writes: &[Write]) -> Vec<&Option<String>> {
    if writes.is_empty() {
        return vec![&None];
    }
    let last = |write: &&Write| {
        !writes
            .iter()
            .any(|other| other.end.is_some() && write.end.is_some_and(|end| end < other.begin))
    };
    let mut values: Vec<_> = writes
        .iter()
        .filter(last)
        .map(|write| &write.value)
        .collect();
    // Before the first write that is known of there was nothing.
    if writes.iter().all(|write| write.end.is_none()) {
        values.push(&None);
    }
    values
}

fn read(at: SocketAddr, reference: &str) -> Result<Option<Vec<u8>>, Died> {
    let target = format!("/v2/{REPOSITORY}/manifests/{reference}");
    let answer = Request::new(at, "GET", &target).exchange();
    let answer = answer?;
    if answer.status == 404 {
        return Ok(None);
    }
    Ok(Some(answer.expect(200).body))
}

#[test]
fn only_writes_that_none_followed_can_stand_last() {
    let zero = Instant::now();
    let at = |millis| zero + std::time::Duration::from_millis(millis);
    let write = |value: &str, begin, end: Option<u64>| Write {
        value: Some(value.to_owned()),
        begin: at(begin),
        end: end.map(at),
    };
    let history = [
        write("first", 0, Some(10)),
        write("over", 20, Some(30)),
        write("long", 5, Some(50)),
        write("last", 40, Some(60)),
        write("cut off", 1, None),
    ];
    let found: Vec<_> = possible(&history).into_iter().flatten().collect();
    assert_eq!(found, ["long", "last", "cut off"]);
    assert_eq!(possible(&[]), [&None]);
}
