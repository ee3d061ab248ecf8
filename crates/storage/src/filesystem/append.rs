//! Writing: bytes are gathered, and in large steps a thread that may block shows them to the witness and
//! writes them, while the next ones are received. Meanwhile another has the disk take what was written,
//! so that the flush at the end, which somebody waits for, finds little left to do.

use std::fs::File;
use std::io::{self, IoSlice};
use std::mem;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use roadstead_failpoint::failpoint;
use rustix::fs::OFlags;
use rustix::io::Errno;
use tokio::task::JoinHandle;

use crate::append_state::AppendState;
use crate::error::StorageError;
use crate::key::Key;
use crate::witness::Witness;

use super::lane::{Lane, Step, Work};
use super::writers::Claim;
use super::{FilesystemStore, Inner, spawn};

/// Bytes after which the disk is told of them.
const EARLY_BYTES: u64 = 8 << 20;
/// Bytes that are gathered before they are written; a few times as many may be on their way.
/// Writes end at multiples of it: no page is written in two steps, and the system can keep runs of
/// them in one piece.
const STEP_BYTES: usize = 128 << 10;

/// Opens an object behind `offset` bytes; at the start it is created.
pub(super) fn open(inner: &Inner, key: Key, offset: u64) -> Result<File, StorageError> {
    let failed = |errno| inner.failed(key, "create an object", errno);
    let file = if offset == 0 {
        let new = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
        match inner.directory.open(&key.object_path(), new) {
            // Left by an attempt of the same session that was cut off: nobody else has the key.
            Err(Errno::EXIST) => inner.file(key, "open an object", OFlags::RDWR)?,
            opened => {
                let file = File::from(opened.map_err(failed)?);
                failpoint!("storage::open::created", |error| {
                    StorageError::system("create an object", error)
                });
                file
            }
        }
    } else {
        inner.file(key, "open an object", OFlags::RDWR)?
    };
    inner.refuse_spoilt(key)?;
    inner.cut(key, &file, offset)?;
    Ok(file)
}

/// An object that grows.
#[derive(Debug)]
pub struct FileAppender {
    store: FilesystemStore,
    key: Key,
    object: Arc<Object>,
    lane: Lane<Writing>,
    /// Where the gathered bytes go.
    offset: u64,
    gathered: Vec<Bytes>,
    /// Small pieces, copied together: each by itself would cost more than it holds.
    small: BytesMut,
    gathered_bytes: usize,
    early: Early,
}

/// The file, and the right to write to it: whoever holds it writes last.
#[derive(Debug)]
struct Object {
    file: File,
    _claim: Claim,
}

/// What the thread does with the bytes.
#[derive(Debug)]
struct Writing {
    object: Arc<Object>,
    witness: Box<dyn Witness>,
}

/// Flushes that nobody waits for.
#[derive(Debug, Default)]
struct Early {
    /// Bytes written since the last of them began.
    written: u64,
    under_way: Option<JoinHandle<Result<(), StorageError>>>,
}

impl FileAppender {
    pub(super) fn new(
        store: FilesystemStore,
        key: Key,
        claim: Claim,
        file: File,
        offset: u64,
        witness: Box<dyn Witness>,
    ) -> Self {
        let object = Arc::new(Object {
            file,
            _claim: claim,
        });
        Self {
            store,
            lane: Lane::new(
                key,
                Writing {
                    object: Arc::clone(&object),
                    witness,
                },
            ),
            object,
            key,
            offset,
            gathered: Vec::new(),
            small: BytesMut::new(),
            gathered_bytes: 0,
            early: Early::default(),
        }
    }

    pub(crate) async fn write(&mut self, mut bytes: Bytes) -> Result<(), StorageError> {
        while bytes.len() >= self.room() {
            let whole = bytes.split_to(self.room());
            self.gather(whole);
            self.flush_early().await?;
            self.send().await?;
        }
        self.gather(bytes);
        Ok(())
    }

    /// Bytes until the next write.
    fn room(&self) -> usize {
        let begun = usize::try_from(self.offset % STEP_BYTES as u64).unwrap_or(0);
        STEP_BYTES - begun - self.gathered_bytes
    }

    fn gather(&mut self, bytes: Bytes) {
        self.gathered_bytes += bytes.len();
        if bytes.len() < SMALL_BYTES {
            self.small.extend_from_slice(&bytes);
        } else {
            self.gather_small();
            self.gathered.push(bytes);
        }
    }

    /// Has the disk take what was written, at most one such flush at a time. Only the last flush
    /// makes anything durable; but the system tells of bytes that it lost just once, so an object of
    /// which one of these fails is spoilt, whoever is there to hear of it.
    async fn flush_early(&mut self) -> Result<(), StorageError> {
        let under_way = &self.early.under_way;
        let is_busy = under_way.as_ref().is_some_and(|task| !task.is_finished());
        if self.early.written < EARLY_BYTES || is_busy {
            return Ok(());
        }
        self.flushed_early().await?;
        self.early.written = 0;
        let (inner, key, object) = (self.store.0.clone(), self.key, Arc::clone(&self.object));
        self.early.under_way = Some(tokio::task::spawn_blocking(move || {
            let flushed = object.file.sync_data().map_err(StorageError::flush);
            flushed.inspect_err(|error| inner.spoil(key, error))
        }));
        Ok(())
    }

    /// What the early flush under way comes to, if there is one.
    async fn flushed_early(&mut self) -> Result<(), StorageError> {
        match self.early.under_way.take() {
            Some(task) => task.await.map_err(|_| StorageError::CutOff)?,
            None => Ok(()),
        }
    }

    pub(crate) async fn flush_durable(&mut self) -> Result<AppendState, StorageError> {
        self.written().await?;
        self.flushed_early().await?;
        let (inner, key, object) = (self.store.0.clone(), self.key, Arc::clone(&self.object));
        spawn(move || {
            let flushed = inner.flush(key, &object.file);
            flushed.inspect_err(|error| inner.disk.note(error))
        })
        .await?;
        Ok(AppendState::at(self.offset))
    }

    /// An early flush under way goes on: whoever writes next waits for it, and for what it says.
    pub(crate) async fn finish(mut self) -> Result<AppendState, StorageError> {
        self.written().await?;
        Ok(AppendState::at(self.offset))
    }

    /// Returns when everything is written.
    async fn written(&mut self) -> Result<(), StorageError> {
        if self.gathered_bytes > 0 {
            self.send().await?;
        }
        self.noted(self.lane.idle().await)
    }

    /// Lets the disk's condition know of a write that failed.
    fn noted(&self, written: Result<(), StorageError>) -> Result<(), StorageError> {
        written.inspect_err(|error| self.store.0.disk.note(error))
    }

    fn gather_small(&mut self) {
        if !self.small.is_empty() {
            self.gathered.push(self.small.split().freeze());
        }
    }

    /// Has what was gathered written, once there is room for it.
    async fn send(&mut self) -> Result<(), StorageError> {
        self.noted(self.lane.room().await)?;
        self.gather_small();
        let step = Step {
            chunks: mem::take(&mut self.gathered),
            offset: self.offset,
        };
        self.offset += self.gathered_bytes as u64;
        self.early.written += self.gathered_bytes as u64;
        self.gathered_bytes = 0;
        self.lane.add(step);
        Ok(())
    }
}

impl Work for Writing {
    fn step(&mut self, step: &Step) -> Result<(), StorageError> {
        let failed = |error| StorageError::system("write an object", error);
        step.chunks.iter().for_each(|chunk| self.witness.see(chunk));
        write_all(&self.object.file, &step.chunks, step.offset).map_err(failed)?;
        failpoint!("storage::append::written", failed);
        Ok(())
    }
}

/// Writes all chunks with as few calls as the system needs.
fn write_all(file: &File, chunks: &[Bytes], mut offset: u64) -> io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> = chunks
        .iter()
        .filter(|chunk| !chunk.is_empty())
        .map(|chunk| IoSlice::new(chunk))
        .collect();
    let mut slices = slices.as_mut_slice();
    while !slices.is_empty() {
        let batch = &slices[..slices.len().min(SLICES_MAX)];
        match rustix::io::pwritev(file, batch, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                offset += written as u64;
                IoSlice::advance_slices(&mut slices, written);
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// Slices that one call takes (IOV_MAX of Linux).
const SLICES_MAX: usize = 1024;

/// Pieces below this are copied together.
const SMALL_BYTES: usize = 4 << 10;
