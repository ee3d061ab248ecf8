//! The write cases: pushes of one large blob, and many pushes of little at a time.
//!
//! Each case starts servers of its own, whose directories go with them: what one case wrote does
//! not fill the disk under the next one.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use futures_util::TryStreamExt as _;
use futures_util::stream::FuturesUnordered;

use crate::case::Case;
use crate::content::{self, Blob, Noise};
use crate::figure::Figure;
use crate::histogram::Histogram;
use crate::http::Client;
use crate::options::Options;
use crate::peer::{self, Contestant, Peer, Setup};
use crate::results::{self, Results};

const REPOSITORY: &str = "bench/pushed";
/// Workers that push at the same time.
const WORKERS: u64 = 16;
/// A large blob is pushed in so many chunks.
const CHUNKS: usize = 4;
/// Bytes of which one word changes from push to push, so that no server has seen any of them.
const PAGE_BYTES: usize = 4 << 10;

const CONFIG_BYTES: usize = 1_500;
const LAYER_BYTES: [usize; 2] = [2 << 10, 20 << 10];

/// Runs the cases of this group.
///
/// # Errors
/// A server that does not start.
pub(crate) async fn run(
    cases: &[&'static Case],
    contestants: &[Contestant],
    options: &Options,
    directory: &Path,
    results: &mut Results,
) -> Result<()> {
    for case in cases {
        let mut peers = Vec::new();
        for contestant in contestants.iter().filter(|one| one.takes_pushes()) {
            peers.push(Peer::start(contestant, directory, Setup::default()).await?);
        }
        results.take(case, measure(case, &peers, options, directory).await);
    }
    Ok(())
}

async fn measure(
    case: &'static Case,
    peers: &[Peer],
    options: &Options,
    directory: &Path,
) -> Result<Vec<(String, Figure)>> {
    for peer in peers {
        warm_up(peer)
            .await
            .with_context(|| format!("{} does not take a push", peer.name))?;
    }

    let mut large = Large::new(case, options);
    let mut rounds = vec![Vec::new(); peers.len()];
    for number in 1..=options.rounds {
        eprintln!("{}: round {number} of {}", case.name, options.rounds);
        for index in results::order(number, peers.len()) {
            let (Some(peer), Some(figures)) = (peers.get(index), rounds.get_mut(index)) else {
                continue;
            };
            // What others wrote is on the disk before the clock runs.
            rustix::fs::sync();
            let figure = match &mut large {
                Some(large) => push(peer, large, directory).await,
                None => many(case, peer, number.into(), options).await,
            };
            figures.push(figure.with_context(|| format!("{}: {}", case.name, peer.name))?);
        }
    }
    Ok(peers
        .iter()
        .zip(&rounds)
        .map(|(peer, figures)| (peer.name.clone(), Figure::middle(figures)))
        .collect())
}

/// A first small push, which opens what a server opens once.
async fn warm_up(peer: &Peer) -> Result<()> {
    let mut client = Client::connect(&peer.target).await?;
    let blob = Blob::new(Noise::new(6).bytes(CONFIG_BYTES));
    peer::push_blob(&mut client, REPOSITORY, &blob).await
}

/// How a large blob is pushed.
#[derive(Clone, Copy)]
enum How {
    /// All of it in one PATCH.
    Streamed,
    /// All of it in the closing PUT.
    Whole,
    /// A PATCH for each chunk.
    Chunks,
}

/// A large blob that is another one in every push.
struct Large {
    how: How,
    blob: Blob,
    noise: Noise,
}

impl Large {
    /// `None` for a case that pushes something else.
    fn new(case: &Case, options: &Options) -> Option<Self> {
        let how = match case.name {
            "push-stream" => How::Streamed,
            "push-monolithic" => How::Whole,
            "push-chunks" => How::Chunks,
            _ => return None,
        };
        let mut noise = Noise::new(2);
        Some(Self {
            how,
            blob: Blob::new(noise.bytes(options.large_bytes())),
            noise,
        })
    }

    fn refresh(&mut self) -> &Blob {
        for page in self.blob.bytes.chunks_mut(PAGE_BYTES) {
            if let Some(word) = page.first_chunk_mut() {
                *word = self.noise.next().to_le_bytes();
            }
        }
        self.blob.digest = content::digest(&self.blob.bytes);
        &self.blob
    }
}

/// Has the kernel take memory for as many bytes as a push writes, and leaves it free. Where a virtual
/// machine gives free memory back to its host, the first use of a page costs up to ten times the copy
/// into it: whichever server comes first after a while would pay for that.
fn touch_memory(directory: &Path, blob: &Blob) -> Result<()> {
    let path = directory.join("touched");
    let mut file = File::create(&path)?;
    file.write_all(&blob.bytes)?;
    file.write_all(&blob.bytes[..blob.bytes.len() / 4])?;
    file.sync_all()?;
    std::fs::remove_file(path)?;
    Ok(())
}

async fn push(peer: &Peer, large: &mut Large, directory: &Path) -> Result<Figure> {
    let how = large.how;
    let blob = large.refresh();
    touch_memory(directory, blob).context("memory cannot be touched by a file")?;
    let mut client = Client::connect(&peer.target).await?;
    peer.forget_peak();
    let before = peer.memory()?;
    let cpu = peer.cpu_time()?;
    let begun = Instant::now();
    match how {
        How::Whole => peer::push_blob(&mut client, REPOSITORY, blob).await?,
        How::Streamed => patch(&mut client, blob, blob.bytes.len()).await?,
        How::Chunks => patch(&mut client, blob, blob.bytes.len() / CHUNKS).await?,
    }
    let figure = Figure {
        value: begun.elapsed().as_secs_f64(),
        cpu: Some(peer.cpu_time()?.saturating_sub(cpu).as_secs_f64()),
        ..Figure::default()
    };
    Ok(figure.memory(before, peer.memory()?))
}

/// Pushes in PATCH requests of this length; with more than one, each says which part it is.
async fn patch(client: &mut Client, blob: &Blob, length: usize) -> Result<()> {
    let begin = format!("POST /v2/{REPOSITORY}/blobs/uploads/");
    let mut answer = client.expect(202, &begin, &[], &[]).await?;
    let mut offset = 0;
    for chunk in blob.bytes.chunks(length) {
        let line = format!("PATCH {}", answer.location()?);
        let range = format!("{offset}-{}", offset + chunk.len() - 1);
        let headers = [
            ("Content-Type", "application/octet-stream"),
            ("Content-Range", range.as_str()),
        ];
        let shown = if chunk.len() == blob.bytes.len() {
            1
        } else {
            2
        };
        let headers = headers.get(..shown).unwrap_or_default();
        answer = client.expect(202, &line, headers, chunk).await?;
        offset += chunk.len();
    }
    let close = peer::closing(answer.location()?, &blob.digest);
    client.expect(201, &close, &[], &[]).await?;
    Ok(())
}

/// So many workers, each doing the case's small job again and again for the length of a round.
async fn many(case: &Case, peer: &Peer, round: u64, options: &Options) -> Result<Figure> {
    let shared = shared_image(case, peer).await?;
    peer.forget_peak();
    let before = peer.memory()?;
    let cpu = peer.cpu_time()?;
    let begun = Instant::now();
    let end = begun + options.length();
    let mut workers: FuturesUnordered<_> = (0..WORKERS)
        .map(|worker| {
            let job = Job {
                round,
                worker,
                manifest: shared.as_ref(),
            };
            work(peer, end, job)
        })
        .collect();
    let mut latencies = Histogram::new();
    while let Some(part) = workers.try_next().await? {
        latencies.merge(&part);
    }
    let done = latencies.total() as f64;
    let figure = Figure {
        value: done / begun.elapsed().as_secs_f64(),
        cpu: Some(peer.cpu_time()?.saturating_sub(cpu).as_secs_f64() / done.max(1.0)),
        p50: Some(latencies.quantile(0.5)),
        p99: Some(latencies.quantile(0.99)),
        ..Figure::default()
    };
    Ok(figure.memory(before, peer.memory()?))
}

/// One worker on a connection of its own: its job until the time is up, and how long each took.
async fn work(peer: &Peer, end: Instant, job: Job<'_>) -> Result<Histogram> {
    let mut client = Client::connect(&peer.target).await?;
    let mut latencies = Histogram::new();
    for number in 0.. {
        let begun = Instant::now();
        if begun >= end {
            break;
        }
        match job.manifest {
            Some(manifest) => {
                let tag = format!("t{}-{}-{number}", job.round, job.worker);
                peer::put_manifest(&mut client, REPOSITORY, &tag, manifest).await?;
            }
            None => push_image(&mut client, [job.round, job.worker, number]).await?,
        }
        latencies.record(begun.elapsed());
    }
    Ok(latencies)
}

/// What a worker does: gives a manifest new tags, or pushes new images.
struct Job<'m> {
    round: u64,
    worker: u64,
    manifest: Option<&'m Blob>,
}

/// The manifest that gets new tags, pushed once, where the case is about tags.
async fn shared_image(case: &Case, peer: &Peer) -> Result<Option<Blob>> {
    if case.name != "tags" {
        return Ok(None);
    }
    let mut noise = Noise::new(3);
    let config = Blob::new(noise.bytes(CONFIG_BYTES));
    let mut client = Client::connect(&peer.target).await?;
    peer::push_blob(&mut client, REPOSITORY, &config).await?;
    let manifest = content::manifest(&config, &[&config], None);
    peer::put_manifest(&mut client, REPOSITORY, "first", &manifest).await?;
    Ok(Some(manifest))
}

/// Pushes an image of which every byte is new.
async fn push_image(client: &mut Client, seed: [u64; 3]) -> Result<()> {
    let [round, worker, number] = seed;
    let repository = format!("bench/small-{worker}");
    let mut noise = Noise::new((round << 48) + (worker << 32) + number + 10);
    let config = Blob::new(noise.bytes(CONFIG_BYTES));
    let layers = LAYER_BYTES.map(|length| Blob::new(noise.bytes(length)));
    for blob in layers.iter().chain([&config]) {
        peer::push_blob(client, &repository, blob).await?;
    }
    let [one, two] = &layers;
    let manifest = content::manifest(&config, &[one, two], None);
    let tag = format!("v{round}-{number}");
    peer::put_manifest(client, &repository, &tag, &manifest).await
}
