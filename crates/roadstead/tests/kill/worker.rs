//! A client that pushes, moves, deletes, mounts and resumes in a repository of its own, knows
//! exactly what must be there, and compares.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::json;

use crate::harness::{Answer, Blob, Image, Manifest, Request, noise, sha256};
use crate::model::{Change, State, Upload};
use crate::random::Random;

/// The process died before it answered: this is how the connection broke.
#[derive(Debug)]
#[allow(dead_code, reason = "shown where nobody was to die")]
pub(crate) struct Died(std::io::Error);

impl From<std::io::Error> for Died {
    fn from(error: std::io::Error) -> Self {
        Self(error)
    }
}

/// What a cycle does besides killing, so that refusals which it causes are expected.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    /// Operations of the disk fail: answers may be 5xx, and uploads may be given up.
    pub(crate) failing: bool,
    /// Uploads expire within a second.
    pub(crate) expiring: bool,
}

pub(crate) struct Worker {
    number: usize,
    random: Random,
    state: State,
    pending: Option<Change>,
    upload: Option<Upload>,
    /// The long upload may have been ended by the registry.
    may_have_ended: bool,
    manifests: HashMap<String, Manifest>,
    /// Which blobs a manifest names.
    named: HashMap<String, Vec<String>>,
    blobs: HashMap<String, Vec<u8>>,
    /// What was deleted and acknowledged so, and not pushed again.
    gone: BTreeSet<(&'static str, String)>,
    made: usize,
}

/// Tags that a worker moves.
const TAGS: [&str; 3] = ["one", "two", "three"];
/// Layers that everybody uses.
const BASES: usize = 4;
/// Manifests above which it deletes rather than pushes.
const MANIFESTS_MAX: usize = 8;
const BLOBS_MAX: usize = 30;

impl Worker {
    pub(crate) fn new(number: usize, seed: u64) -> Self {
        Self {
            number,
            random: Random::new(seed ^ (number as u64) << 32),
            state: State::default(),
            pending: None,
            upload: None,
            may_have_ended: false,
            manifests: HashMap::new(),
            named: HashMap::new(),
            blobs: HashMap::new(),
            gone: BTreeSet::new(),
            made: 0,
        }
    }

    fn repository(&self) -> String {
        format!("worker{}/app", self.number)
    }

    /// One of the things that clients do.
    pub(crate) fn act(
        &mut self,
        at: SocketAddr,
        cycle: usize,
        weather: Weather,
    ) -> Result<(), Died> {
        let full = self.state.manifests.len() >= MANIFESTS_MAX;
        match self.random.below(100) {
            0..35 if !full => self.push_image(at, cycle, weather),
            0..45 => self.delete_manifest(at, weather),
            45..60 => self.move_tag(at, weather),
            60..68 => self.delete_tag(at, weather),
            68..80 => self.delete_blob(at, weather),
            80..94 => self.go_on_with_upload(at, weather),
            94..97 => self.push_wrong(at, weather),
            _ => self.pull_tag(at, weather),
        }
    }

    fn ask(&self, at: SocketAddr, method: &str, rest: &str) -> Request {
        let request = Request::new(at, method, &format!("/v2/{}/{rest}", self.repository()));
        match method {
            "POST" => request.body(""),
            _ => request,
        }
    }

    /// Sends a request that makes this change, which is certain once the status is the expected
    /// one. `false`: it was refused with one of the other statuses.
    fn change(
        &mut self,
        at: SocketAddr,
        weather: Weather,
        change: Change,
        request: Request,
        (done, refused): (u16, &[u16]),
    ) -> Result<bool, Died> {
        let after = self.state.after(&change);
        self.pending = Some(change);
        let answer = request.exchange()?;
        if answer.status == done {
            self.enter(after);
            return Ok(true);
        }
        if answer.status >= 500 {
            assert!(weather.failing, "{answer:?}");
            self.check(at)?;
            return Ok(false);
        }
        assert!(refused.contains(&answer.status), "{answer:?}");
        self.pending = None;
        Ok(false)
    }

    /// Takes over the state that is certain now.
    fn enter(&mut self, state: State) {
        self.pending = None;
        for (kind, had, has) in [
            ("blobs", &self.state.blobs, &state.blobs),
            ("manifests", &self.state.manifests, &state.manifests),
        ] {
            let lost = had.difference(has).cloned();
            self.gone.extend(lost.map(|digest| (kind, digest)));
            for digest in has.difference(had) {
                self.gone.remove(&(kind, digest.clone()));
            }
        }
        self.blobs.retain(|digest, _| state.blobs.contains(digest));
        self.manifests
            .retain(|digest, _| state.manifests.contains(digest));
        self.named
            .retain(|digest, _| state.manifests.contains(digest));
        if !state.open {
            self.upload = None;
        }
        self.state = state;
    }

    fn push_image(&mut self, at: SocketAddr, cycle: usize, weather: Weather) -> Result<(), Died> {
        self.made += 1;
        let seed = format!("{} {}", self.number, self.made);
        let base = self.random.below(BASES);
        let mut layers = vec![Blob::layer(&format!("base {base}"), 40_000 + base)];
        if self.random.percent(50) {
            // Others push it at the same time.
            layers.push(Blob::layer(&format!("common {cycle}"), 30_000));
        }
        let length = match self.random.percent(50) {
            true => self.random.within(1, 4096),
            false => self.random.within(4097, 150_000),
        };
        layers.push(Blob::layer(&seed, length));
        let image = Image::of(&seed, layers);
        for blob in image.blobs() {
            if !self.state.blobs.contains(&blob.digest) && !self.push_blob(at, weather, blob)? {
                return Ok(());
            }
        }
        let named = image.blobs().map(|blob| blob.digest.clone()).collect();
        self.named.insert(image.manifest.digest.clone(), named);
        let tags = match self.random.below(10) {
            0..2 => Vec::new(),
            _ => vec![TAGS[self.random.below(TAGS.len())].to_owned()],
        };
        self.put_manifest(at, weather, &image.manifest, tags)
    }

    fn put_manifest(
        &mut self,
        at: SocketAddr,
        weather: Weather,
        manifest: &Manifest,
        tags: Vec<String>,
    ) -> Result<(), Died> {
        let digest = manifest.digest.clone();
        self.manifests.insert(digest.clone(), manifest.clone());
        let reference = tags.first().unwrap_or(&digest);
        let request = self
            .ask(at, "PUT", &format!("manifests/{reference}"))
            .header("Content-Type", &manifest.media_type)
            .body(&manifest.bytes);
        let change = Change::PutManifest { digest, tags };
        self.change(at, weather, change, request, (201, &[]))
            .map(drop)
    }

    /// In one of the ways that clients have; `false` where the registry gave it up.
    fn push_blob(&mut self, at: SocketAddr, weather: Weather, blob: &Blob) -> Result<bool, Died> {
        let digest = blob.digest.clone();
        let add = Change::AddBlob(digest.clone());
        match self.random.below(4) {
            0 => {
                self.blobs.insert(digest.clone(), blob.bytes.clone());
                let target = format!("blobs/uploads/?digest={digest}");
                let request = self.ask(at, "POST", &target).body(&blob.bytes);
                self.change(at, weather, add, request, (201, &[]))
            }
            1 => {
                let from = format!("worker{}/app", self.random.below(crate::WORKERS));
                let target = format!("blobs/uploads/?mount={digest}&from={from}");
                let request = self.ask(at, "POST", &target);
                self.blobs.insert(digest.clone(), blob.bytes.clone());
                let change = add.clone();
                if self.change(at, weather, change, request, (201, &[202]))? {
                    return Ok(true);
                }
                self.push_in_session(at, weather, blob, 0)
            }
            2 => self.push_in_session(at, weather, blob, 0),
            _ => self.push_in_session(at, weather, blob, 3),
        }
    }

    /// A session of this request's own, with the body in the closing request or in chunks before.
    fn push_in_session(
        &mut self,
        at: SocketAddr,
        weather: Weather,
        blob: &Blob,
        chunks: usize,
    ) -> Result<bool, Died> {
        let Some(location) = self.begin(at, weather)? else {
            return Ok(false);
        };
        self.blobs.insert(blob.digest.clone(), blob.bytes.clone());
        let mut rest = &blob.bytes[..];
        for _ in 0..chunks {
            let (chunk, after) = rest.split_at(rest.len() / 2);
            rest = after;
            let patch = Request::new(at, "PATCH", &location).body(chunk);
            if !self.passed(weather, patch, 202)? {
                return Ok(false);
            }
        }
        let target = format!("{location}?digest={}", blob.digest);
        let request = Request::new(at, "PUT", &target).body(rest);
        let refused: &[u16] = if weather.expiring { &[404] } else { &[] };
        let add = Change::AddBlob(blob.digest.clone());
        self.change(at, weather, add, request, (201, refused))
    }

    fn begin(&self, at: SocketAddr, weather: Weather) -> Result<Option<String>, Died> {
        let answer = self.ask(at, "POST", "blobs/uploads/").exchange();
        let answer = answer?;
        if answer.status >= 500 && weather.failing {
            return Ok(None);
        }
        Ok(Some(answer.expect(202).need("location").to_owned()))
    }

    /// Whether a request that changes nothing of the model went well.
    fn passed(&self, weather: Weather, request: Request, status: u16) -> Result<bool, Died> {
        let answer = request.exchange()?;
        let ended = weather.expiring && answer.status == 404;
        let failed = weather.failing && (answer.status >= 500 || answer.status == 404);
        if ended || failed {
            return Ok(false);
        }
        answer.expect(status);
        Ok(true)
    }

    fn move_tag(&mut self, at: SocketAddr, weather: Weather) -> Result<(), Died> {
        let Some(digest) = self.random.pick(self.state.manifests.clone()) else {
            return Ok(());
        };
        let manifest = self.manifests[&digest].clone();
        let tag = TAGS[self.random.below(TAGS.len())].to_owned();
        self.put_manifest(at, weather, &manifest, vec![tag])
    }

    fn delete_tag(&mut self, at: SocketAddr, weather: Weather) -> Result<(), Died> {
        let tag = TAGS[self.random.below(TAGS.len())].to_owned();
        let request = self.ask(at, "DELETE", &format!("manifests/{tag}"));
        let there = self.state.tags.contains_key(&tag);
        let (done, refused): (u16, &[u16]) = if there { (202, &[]) } else { (0, &[404]) };
        let change = Change::DeleteTag(tag);
        self.change(at, weather, change, request, (done, refused))
            .map(drop)
    }

    fn delete_manifest(&mut self, at: SocketAddr, weather: Weather) -> Result<(), Died> {
        let Some(digest) = self.random.pick(self.state.manifests.clone()) else {
            return Ok(());
        };
        let request = self.ask(at, "DELETE", &format!("manifests/{digest}"));
        let change = Change::DeleteManifest(digest);
        self.change(at, weather, change, request, (202, &[]))
            .map(drop)
    }

    /// Of what no manifest names, the rest is refused.
    fn delete_blob(&mut self, at: SocketAddr, weather: Weather) -> Result<(), Died> {
        let named: BTreeSet<&String> = self
            .state
            .manifests
            .iter()
            .flat_map(|manifest| &self.named[manifest])
            .collect();
        let free = |digest: &&String| !named.contains(digest);
        let digest = match self.state.blobs.len() > BLOBS_MAX || self.random.percent(70) {
            true => self.random.pick(self.state.blobs.iter().filter(free)),
            false => self.random.pick(&self.state.blobs),
        };
        let Some(digest) = digest.cloned() else {
            return Ok(());
        };
        let (done, refused): (u16, &[u16]) = if named.contains(&digest) {
            (0, &[405])
        } else {
            (202, &[])
        };
        let request = self.ask(at, "DELETE", &format!("blobs/{digest}"));
        let change = Change::DeleteBlob(digest);
        self.change(at, weather, change, request, (done, refused))
            .map(drop)
    }

    /// A push whose digest is wrong ends its session and leaves nothing.
    fn push_wrong(&mut self, at: SocketAddr, weather: Weather) -> Result<(), Died> {
        self.made += 1;
        let bytes = noise(&format!("wrong {} {}", self.number, self.made), 20_000);
        let digest = sha256(b"something else");
        let Some(location) = self.begin(at, weather)? else {
            return Ok(());
        };
        let target = format!("{location}?digest={digest}");
        let put = Request::new(at, "PUT", &target).body(&bytes);
        self.passed(weather, put, 400).map(drop)
    }

    /// The next step of the long upload.
    fn go_on_with_upload(&mut self, at: SocketAddr, weather: Weather) -> Result<(), Died> {
        let Some(upload) = self.upload.clone() else {
            self.made += 1;
            let length = self.random.within(50_000, 300_000);
            let content = noise(&format!("long {} {}", self.number, self.made), length);
            if let Some(location) = self.begin(at, weather)? {
                self.may_have_ended = weather.failing || weather.expiring;
                self.state.open = true;
                self.upload = Some(Upload {
                    location,
                    content: Arc::new(content),
                    least: 0,
                    most: 0,
                });
            }
            return Ok(());
        };
        self.may_have_ended |= weather.failing || weather.expiring;
        if self.random.percent(5) {
            let request = Request::new(at, "DELETE", &upload.location);
            let refused: &[u16] = if self.may_have_ended { &[404] } else { &[] };
            let cancel = Change::CancelUpload;
            if !self.change(at, weather, cancel, request, (204, refused))? {
                self.check_upload(at)?;
            }
            return Ok(());
        }
        let (from, length) = (upload.least, upload.content.len());
        let to = (from + self.random.within(2, 120_000)).min(length);
        let chunk = &upload.content[from..to];
        if let Some(known) = &mut self.upload {
            known.most = to;
        }
        if to < length {
            let range = format!("{from}-{}", to - 1);
            let patch = Request::new(at, "PATCH", &upload.location)
                .header("Content-Range", range)
                .body(chunk);
            if self.passed(weather, patch, 202)? {
                if let Some(known) = &mut self.upload {
                    known.least = to;
                }
                return Ok(());
            }
            return self.check_upload(at);
        }
        let digest = sha256(&upload.content);
        self.blobs.insert(digest.clone(), upload.content.to_vec());
        let target = format!("{}?digest={digest}", upload.location);
        let request = Request::new(at, "PUT", &target).body(chunk);
        let refused: &[u16] = if self.may_have_ended { &[404] } else { &[] };
        let finish = Change::FinishUpload(digest);
        if !self.change(at, weather, finish, request, (201, refused))? {
            self.check_upload(at)?;
        }
        Ok(())
    }

    fn pull_tag(&mut self, at: SocketAddr, _weather: Weather) -> Result<(), Died> {
        let tag = TAGS[self.random.below(TAGS.len())];
        let answer = self.ask(at, "GET", &format!("manifests/{tag}")).exchange();
        let answer = answer?;
        match self.state.tags.get(tag) {
            None => drop(answer.expect(404)),
            Some(digest) => assert_eq!(answer.expect(200).body, self.manifests[digest].bytes),
        }
        Ok(())
    }

    /// Reads everything that is or may be there, and decides by it whether the change that was
    /// under way has happened: all of it, or nothing.
    pub(crate) fn check(&mut self, at: SocketAddr) -> Result<(), Died> {
        let before = self.state.clone();
        let after = match &self.pending {
            Some(change) => before.after(change),
            None => before.clone(),
        };
        let mut found = State::default();
        for digest in before.blobs.union(&after.blobs) {
            if self.is_there(at, "blobs", digest, &self.blobs[digest])? {
                found.blobs.insert(digest.clone());
            }
        }
        for digest in before.manifests.union(&after.manifests) {
            if self.is_there(at, "manifests", digest, &self.manifests[digest].bytes)? {
                found.manifests.insert(digest.clone());
            }
        }
        for tag in self.listed(at)? {
            let answer = self.ask(at, "GET", &format!("manifests/{tag}")).exchange();
            let answer = answer?.expect(200);
            let digest = sha256(&answer.body);
            answer.expect_header("docker-content-digest", &digest);
            found.tags.insert(tag, digest);
        }
        self.check_upload(at)?;
        found.open = self.upload.is_some();
        let mut expected = [before, after];
        if self.may_have_ended && !found.open {
            expected[0].open = false;
            expected[1].open = false;
        }
        let Some(state) = expected.iter().find(|state| **state == found) else {
            panic!(
                "worker {}: found {found:#?}\nwhere there can be {expected:#?}\nafter {:?}",
                self.number, self.pending
            );
        };
        self.enter(state.clone());
        Ok(())
    }

    /// What was deleted stays so.
    pub(crate) fn check_gone(&self, at: SocketAddr, most: usize) -> Result<(), Died> {
        let sample = self.gone.len().div_ceil(most).max(1);
        for (kind, digest) in self.gone.iter().step_by(sample) {
            let answer = self.ask(at, "HEAD", &format!("{kind}/{digest}")).exchange();
            answer?.expect(404);
        }
        Ok(())
    }

    /// Where the long upload stands: between what was acknowledged and what was sent.
    fn check_upload(&mut self, at: SocketAddr) -> Result<(), Died> {
        let Some(upload) = &mut self.upload else {
            return Ok(());
        };
        let answer = Request::new(at, "GET", &upload.location).exchange();
        let answer = answer?;
        if answer.status == 404 {
            let may_end = matches!(
                self.pending,
                Some(Change::FinishUpload(_) | Change::CancelUpload)
            );
            assert!(
                may_end || self.may_have_ended,
                "an upload is lost: {answer:?}"
            );
            self.upload = None;
            if self.pending.is_none() {
                self.state.open = false;
            }
            return Ok(());
        }
        let offset = received(&answer.expect(204));
        assert!(
            (upload.least..=upload.most).contains(&offset),
            "an upload stands at {offset}: acknowledged {}, sent {}",
            upload.least,
            upload.most
        );
        (upload.least, upload.most) = (offset, offset);
        Ok(())
    }

    fn is_there(
        &self,
        at: SocketAddr,
        kind: &str,
        digest: &str,
        bytes: &[u8],
    ) -> Result<bool, Died> {
        let answer = self
            .ask(at, "GET", &format!("{kind}/{digest}"))
            .exchange()?;
        if answer.status == 404 {
            return Ok(false);
        }
        assert!(
            answer.expect(200).body == bytes,
            "{digest} has other bytes than were pushed"
        );
        Ok(true)
    }

    fn listed(&self, at: SocketAddr) -> Result<Vec<String>, Died> {
        let answer = self.ask(at, "GET", "tags/list").exchange();
        let answer = answer?;
        if answer.status == 404 {
            // It never had a manifest.
            return Ok(Vec::new());
        }
        let list = answer.expect(200).json();
        let tags = list["tags"].as_array().unwrap_or(&Vec::new()).clone();
        Ok(tags
            .iter()
            .map(|tag| tag.as_str().unwrap().to_owned())
            .collect())
    }
}

/// How many bytes the Range of an upload speaks of.
fn received(answer: &Answer) -> usize {
    let Some(range) = answer.header("range") else {
        return 0;
    };
    let last = range.strip_prefix("0-").unwrap();
    // An upload without bytes has the Range 0-0 too.
    match last.parse::<usize>().unwrap() {
        0 => 0,
        last => last + 1,
    }
}

/// A manifest that nobody has pushed yet.
pub(crate) fn unique(image: &Image, note: &str) -> Manifest {
    image
        .manifest
        .with(&json!({ "annotations": { "note": note } }))
}
