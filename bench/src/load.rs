//! The load of a read case: so many connections, each asking again as soon as it has its answer.
//!
//! Each thread has its own runtime and its own buffer, and connections never change threads. What
//! comes in before the window begins is warming up and not counted.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::mpsc::{self, Receiver, Sender};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::TryStreamExt as _;
use futures_util::future::try_join_all;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};

use crate::content::Noise;
use crate::histogram::Histogram;
use crate::http::{Reading, Stream, Target};

/// Bytes that one read takes at most.
const BUFFER_BYTES: usize = 256 << 10;
/// Before counting begins.
const WARM_UP: Duration = Duration::from_millis(200);

/// What every connection asks for.
#[derive(Clone)]
pub(crate) struct Request {
    /// The request up to its last header, without the empty line.
    pub(crate) head: String,
    /// Asks for so many bytes at a random place of content of such a size: (bytes, size).
    pub(crate) range: Option<(u64, u64)>,
    /// The status that the answer must have.
    pub(crate) status: u16,
}

/// What came in while the window was open.
#[derive(Clone)]
pub(crate) struct Tally {
    /// Answers that ended.
    pub(crate) answers: u64,
    /// Bytes of bodies.
    pub(crate) bytes: u64,
    /// From a request to the end of its answer.
    pub(crate) latencies: Histogram,
}

impl Tally {
    fn new() -> Self {
        Self {
            answers: 0,
            bytes: 0,
            latencies: Histogram::new(),
        }
    }

    fn merge(&mut self, other: &Self) {
        self.answers += other.answers;
        self.bytes += other.bytes;
        self.latencies.merge(&other.latencies);
    }
}

/// When answers count.
#[derive(Clone, Copy)]
struct Window {
    start: Instant,
    end: Instant,
}

/// Runs the load for a window of this length, and looks at something when it opens and closes.
///
/// # Errors
/// Those of a connection; a wrong status.
pub(crate) fn run<T>(
    target: &Target,
    request: &Request,
    connections: usize,
    length: Duration,
    mut look: impl FnMut() -> Result<T>,
) -> Result<(Tally, [T; 2])> {
    let threads = thread::available_parallelism()
        .map_or(1, usize::from)
        .min(connections);
    thread::scope(|scope| {
        let (ready, connected) = mpsc::channel();
        let mut workers = Vec::new();
        let mut openers = Vec::new();
        for number in 0..threads {
            let share = connections / threads + usize::from(number < connections % threads);
            let (opener, opened) = mpsc::channel();
            let ready = ready.clone();
            openers.push(opener);
            workers.push(scope.spawn(move || work(target, request, share, &ready, &opened)));
        }
        drop(ready);
        // Ends early where a worker failed; its error is below.
        let all = connected.iter().take(threads).count() == threads;
        let mut looked = None;
        if all {
            let start = Instant::now() + WARM_UP;
            let window = Window {
                start,
                end: start + length,
            };
            for opener in &openers {
                let _ = opener.send(window);
            }
            thread::sleep(WARM_UP);
            let before = look()?;
            thread::sleep(window.end.saturating_duration_since(Instant::now()));
            looked = Some([before, look()?]);
        }
        drop(openers);
        let mut tally = Tally::new();
        for worker in workers {
            let part = worker
                .join()
                .map_err(|_| anyhow::anyhow!("the load panicked"))?;
            tally.merge(&part?);
        }
        Ok((tally, looked.context("the load did not begin")?))
    })
}

/// One thread's share.
fn work(
    target: &Target,
    request: &Request,
    connections: usize,
    ready: &Sender<()>,
    opened: &Receiver<Window>,
) -> Result<Tally> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let streams = try_join_all((0..connections).map(|_| target.connect())).await?;
        ready.send(())?;
        // Nothing else waits on this thread.
        let window = opened.recv()?;
        let shared = Shared {
            buffer: RefCell::new(vec![0; BUFFER_BYTES]),
            tally: RefCell::new(Tally::new()),
            window,
        };
        let host = format!("Host: {}\r\n", target.address);
        let mut all: FuturesUnordered<_> = (1..)
            .zip(streams)
            .map(|(number, stream)| ask(stream, request, &host, Noise::new(number), &shared))
            .collect();
        let end = tokio::time::Instant::from_std(window.end);
        // Asking never ends by itself.
        if let Ok(failed) = tokio::time::timeout_at(end, all.try_next()).await {
            failed?;
        }
        drop(all);
        Ok(shared.tally.into_inner())
    })
}

/// What the connections of a thread have together.
struct Shared {
    buffer: RefCell<Vec<u8>>,
    tally: RefCell<Tally>,
    window: Window,
}

/// One connection: asks again and again.
async fn ask(
    mut stream: Stream,
    request: &Request,
    host: &str,
    mut noise: Noise,
    shared: &Shared,
) -> Result<()> {
    let start = format!("{}{host}", request.head);
    let mut bytes = format!("{start}\r\n").into_bytes();
    let mut reading = Reading::new(start.starts_with("HEAD "));
    loop {
        if let Some((length, size)) = request.range {
            let first = noise.below(size - length + 1);
            let last = first + length - 1;
            bytes = format!("{start}Range: bytes={first}-{last}\r\n\r\n").into_bytes();
        }
        let asked = Instant::now();
        stream.write_all(&bytes).await?;
        stream.flush().await?;
        reading.restart();
        while !read_some(&mut stream, &mut reading, request.status, asked, shared).await? {}
    }
}

/// Reads once. True: the answer is whole.
async fn read_some(
    stream: &mut Stream,
    reading: &mut Reading,
    status: u16,
    asked: Instant,
    shared: &Shared,
) -> Result<bool> {
    poll_fn(|cx| {
        let mut buffer = shared.buffer.borrow_mut();
        let mut read = ReadBuf::new(&mut buffer);
        match Pin::new(&mut *stream).poll_read(cx, &mut read) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
            Poll::Ready(Ok(())) => Poll::Ready(take(reading, read.filled(), status, asked, shared)),
        }
    })
    .await
}

fn take(
    reading: &mut Reading,
    bytes: &[u8],
    status: u16,
    asked: Instant,
    shared: &Shared,
) -> Result<bool> {
    ensure!(!bytes.is_empty(), "the server closed a connection");
    let mut body = 0;
    let done = reading.feed(bytes, &mut |part| body += part.len() as u64)?;
    ensure!(
        !reading.begun() || reading.status() == status,
        "an answer of {} in place of {status}",
        reading.status()
    );
    let now = Instant::now();
    if now >= shared.window.start {
        let mut tally = shared.tally.borrow_mut();
        tally.bytes += body;
        if done {
            tally.answers += 1;
            tally.latencies.record(now - asked);
        }
    }
    Ok(done)
}
