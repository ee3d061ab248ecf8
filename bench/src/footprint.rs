//! What Roadstead alone takes: its start, its memory when idle, under many slow pulls, and under
//! many connections that do nothing.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures_util::TryStreamExt as _;
use futures_util::stream::FuturesUnordered;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::content::{Blob, Noise};
use crate::database;
use crate::figure::Figure;
use crate::http::{Client, Reading, Stream};
use crate::options::Options;
use crate::peer::{self, Contestant, Peer, Setup};

const REPOSITORY: &str = "bench/pulled";
/// Starts of which the middle counts.
const STARTS: u32 = 5;
/// Until what a start leaves behind has settled.
const SETTLE: Duration = Duration::from_secs(2);
const IDLE_CONNECTIONS: usize = 10_000;
/// Connections that are made at a time.
const BATCH: usize = 100;
/// Bytes that a slow reader takes at a time.
const SIP_BYTES: usize = 16 << 10;
/// What the kernel keeps for a slow reader: with as much as for a fast one, a thousand of them fill
/// the memory that it has for all connections, and then it drops packets.
const SLOW_BYTES: u32 = 128 << 10;
/// Files that this program needs beside its connections.
const OTHER_FILES: u64 = 100;

/// Measures a case of this group.
///
/// # Errors
/// Those of the server, and a name that is none of the group's.
pub(crate) async fn measure(
    name: &str,
    roadstead: &Contestant,
    options: &Options,
    directory: &Path,
) -> Result<Figure> {
    match name {
        "start" => start(roadstead, options, directory).await,
        "idle" => idle(roadstead, options, directory).await,
        "pulls-200" => pulls(roadstead, options, directory, 200).await,
        "pulls-1000" => pulls(roadstead, options, directory, 1_000).await,
        "connections" => connections(roadstead, options, directory).await,
        other => anyhow::bail!("{other} is no case of the footprint"),
    }
}

/// A directory with a database of as many manifests as the options say.
async fn filled(options: &Options, parent: &Path) -> Result<tempfile::TempDir> {
    let directory = tempfile::tempdir_in(parent)?;
    let count = if options.quick {
        500
    } else {
        options.manifests
    };
    let database = database::open(&database_file(directory.path())?)?;
    database::add_manifests(&database, count).await?;
    Ok(directory)
}

/// Where a server in this directory has its database.
pub(crate) fn database_file(directory: &Path) -> Result<PathBuf> {
    let data = peer::data_directory(directory);
    std::fs::create_dir_all(&data)?;
    Ok(data.join("roadstead.db"))
}

async fn start(roadstead: &Contestant, options: &Options, parent: &Path) -> Result<Figure> {
    let mut directory = filled(options, parent).await?;
    let mut rounds = Vec::new();
    for _ in 0..STARTS {
        let begun = Instant::now();
        let peer = Peer::start_in(roadstead, directory, Setup::default()).await?;
        greet(&mut Client::connect(&peer.target).await?).await?;
        let figure = Figure {
            value: begun.elapsed().as_secs_f64() * 1e3,
            cpu: Some(peer.cpu_time()?.as_secs_f64()),
            ..Figure::default()
        };
        let memory = peer.memory()?;
        rounds.push(figure.memory(memory, memory));
        directory = peer.stop();
    }
    Ok(Figure::middle(&rounds))
}

async fn idle(roadstead: &Contestant, options: &Options, parent: &Path) -> Result<Figure> {
    let directory = filled(options, parent).await?;
    let peer = Peer::start_in(roadstead, directory, Setup::default()).await?;
    greet(&mut Client::connect(&peer.target).await?).await?;
    tokio::time::sleep(SETTLE).await;
    let memory = peer.memory()?;
    let figure = Figure {
        value: memory.resident as f64,
        ..Figure::default()
    };
    Ok(figure.memory(memory, memory))
}

/// So many clients that have all begun to read the same blob before one goes on to its end.
async fn pulls(
    roadstead: &Contestant,
    options: &Options,
    parent: &Path,
    count: usize,
) -> Result<Figure> {
    allow_files(count as u64)?;
    let peer = Peer::start(roadstead, parent, Setup::default()).await?;
    let length = if options.quick { 1 << 20 } else { 16 << 20 };
    let blob = Blob::new(Noise::new(4).bytes(length));
    let mut client = Client::connect(&peer.target).await?;
    peer::push_blob(&mut client, REPOSITORY, &blob).await?;
    peer.forget_peak();
    let before = peer.memory()?;
    let cpu = peer.cpu_time()?;
    let begun = Instant::now();
    let mut pulls = Vec::with_capacity(count);
    while pulls.len() < count {
        let batch: FuturesUnordered<_> = (pulls.len()..count.min(pulls.len() + BATCH))
            .map(|_| Pull::begin(&peer, &blob))
            .collect();
        pulls.extend(batch.try_collect::<Vec<_>>().await?);
    }
    let all: FuturesUnordered<_> = pulls.into_iter().map(|pull| pull.finish(length)).collect();
    all.try_collect::<()>().await?;
    eprintln!(
        "    {count} pulls in {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    let after = peer.memory()?;
    let figure = Figure {
        value: after.peak.saturating_sub(before.resident) as f64,
        cpu: Some(peer.cpu_time()?.saturating_sub(cpu).as_secs_f64()),
        ..Figure::default()
    };
    Ok(figure.memory(before, after))
}

/// A pull of which the head and a little more is read.
struct Pull {
    stream: Stream,
    reading: Reading,
    received: usize,
}

impl Pull {
    async fn begin(peer: &Peer, blob: &Blob) -> Result<Self> {
        let mut stream = peer.target.connect_with(SLOW_BYTES).await?;
        let request = format!(
            "GET /v2/{REPOSITORY}/blobs/{} HTTP/1.1\r\nHost: {}\r\n\r\n",
            blob.digest, peer.target.address
        );
        stream.write_all(request.as_bytes()).await?;
        stream.flush().await?;
        let mut pull = Self {
            stream,
            reading: Reading::new(false),
            received: 0,
        };
        while !pull.reading.begun() {
            pull.sip(&mut [0; 512]).await?;
        }
        ensure!(
            pull.reading.status() == 200,
            "a pull is refused: {}",
            pull.reading.status()
        );
        Ok(pull)
    }

    /// Reads once. True: that was the end.
    async fn sip(&mut self, buffer: &mut [u8]) -> Result<bool> {
        let count = self.stream.read(buffer).await?;
        ensure!(
            count > 0,
            "the server gave a pull up after {} bytes",
            self.received
        );
        let received = &mut self.received;
        self.reading
            .feed(buffer.get(..count).unwrap_or_default(), &mut |part| {
                *received += part.len()
            })
    }

    async fn finish(mut self, length: usize) -> Result<()> {
        let mut buffer = vec![0; SIP_BYTES];
        while !self.sip(&mut buffer).await? {
            // The others have their turn: none is much faster than the rest.
            tokio::task::yield_now().await;
        }
        ensure!(self.received == length, "a pull of {} bytes", self.received);
        Ok(())
    }
}

/// Connections that have asked once and are kept open.
async fn connections(roadstead: &Contestant, options: &Options, parent: &Path) -> Result<Figure> {
    let count = if options.quick { 200 } else { IDLE_CONNECTIONS };
    allow_files(count as u64)?;
    let peer = Peer::start(roadstead, parent, Setup::default()).await?;
    peer.forget_peak();
    let before = peer.memory()?;
    let mut open = Vec::with_capacity(count);
    while open.len() < count {
        let batch: FuturesUnordered<_> = (0..BATCH.min(count - open.len()))
            .map(|_| async {
                let mut client = Client::connect(&peer.target).await?;
                greet(&mut client).await?;
                Ok::<_, anyhow::Error>(client.into_stream())
            })
            .collect();
        open.extend(batch.try_collect::<Vec<_>>().await?);
    }
    let after = peer.memory()?;
    let figure = Figure {
        value: after.resident as f64,
        ..Figure::default()
    };
    Ok(figure.memory(before, after))
}

async fn greet(client: &mut Client) -> Result<()> {
    client.expect(200, "GET /v2/", &[], &[]).await.map(drop)
}

/// Raises the limit on open files, which servers inherit.
fn allow_files(connections: u64) -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    let wanted = connections + OTHER_FILES;
    ensure!(
        wanted <= most,
        "{connections} connections need {wanted} open files, {most} are allowed (ulimit -Hn)"
    );
    if limit.current.is_some_and(|current| current < most) {
        let raised = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        setrlimit(Resource::Nofile, raised)?;
    }
    Ok(())
}
