//! Writing: bytes are gathered and written in large steps by a thread that may block, while the
//! next ones are received and hashed. Meanwhile another has the disk take what was written, so that
//! the flush at the end, which somebody waits for, finds little left to do.

use std::fs::File;
use std::io::{self, IoSlice};
use std::mem;

use bytes::{Bytes, BytesMut};
use roadstead_failpoint::failpoint;
use rustix::fs::OFlags;
use rustix::io::Errno;
use tokio::task::JoinHandle;

use crate::append_state::AppendState;
use crate::error::StorageError;
use crate::key::Key;

use super::writers::Claim;
use super::{FilesystemStore, Inner, spawn};

/// Bytes after which the disk is told of them.
const EARLY_BYTES: u64 = 8 << 20;
/// Bytes that are gathered before they are written; as many again may be on their way to the disk.
/// Writes end at multiples of it: no page is written in two steps, and the system can keep runs of
/// them in one piece.
const STEP_BYTES: usize = 256 << 10;

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
    inner.cut(key, &file, offset)?;
    Ok(file)
}

/// An object that grows.
#[derive(Debug)]
pub struct FileAppender {
    store: FilesystemStore,
    key: Key,
    claim: Claim,
    /// Where the gathered bytes go.
    offset: u64,
    gathered: Vec<Bytes>,
    /// Small pieces, copied together: each by itself would cost more than it holds.
    small: BytesMut,
    gathered_bytes: usize,
    file: Writing,
    early: Early,
}

/// Flushes that nobody waits for.
#[derive(Debug, Default)]
struct Early {
    /// Bytes written since the last of them began.
    written: u64,
    under_way: Option<JoinHandle<Result<(), StorageError>>>,
}

/// The file, or the thread that has it.
#[derive(Debug)]
enum Writing {
    Idle(File),
    Busy(JoinHandle<io::Result<File>>),
    /// A write failed, or its caller went away.
    Broken,
}

impl FileAppender {
    pub(super) fn new(
        store: FilesystemStore,
        key: Key,
        claim: Claim,
        file: File,
        offset: u64,
    ) -> Self {
        Self {
            store,
            key,
            claim,
            offset,
            gathered: Vec::new(),
            small: BytesMut::new(),
            gathered_bytes: 0,
            file: Writing::Idle(file),
            early: Early::default(),
        }
    }

    pub(crate) async fn write(&mut self, mut bytes: Bytes) -> Result<(), StorageError> {
        while bytes.len() >= self.room() {
            let whole = bytes.split_to(self.room());
            self.gather(whole);
            let file = self.idle().await?;
            self.flush_early(&file).await?;
            self.send(file);
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
    /// makes anything durable; but the system tells of bytes that it lost just once, so what one of
    /// these says is never dropped.
    async fn flush_early(&mut self, file: &File) -> Result<(), StorageError> {
        let under_way = &self.early.under_way;
        let is_busy = under_way.as_ref().is_some_and(|task| !task.is_finished());
        if self.early.written < EARLY_BYTES || is_busy {
            return Ok(());
        }
        self.flushed_early().await?;
        self.early.written = 0;
        let file = file.try_clone();
        let file = file.map_err(|error| StorageError::system("write an object", error))?;
        let (inner, key, claim) = (self.store.0.clone(), self.key, self.claim.clone());
        self.early.under_way = Some(tokio::task::spawn_blocking(move || {
            let _claim = claim;
            let flushed = file.sync_data().map_err(StorageError::flush);
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
        let file = self.written().await?;
        self.flushed_early().await?;
        let (inner, key, claim) = (self.store.0.clone(), self.key, self.claim.clone());
        let flush = move || {
            let _claim = claim;
            let flushed = inner.flush(key, &file);
            flushed.inspect_err(|error| inner.disk.note(error))?;
            Ok(file)
        };
        let flushed = spawn(flush).await;
        self.file = Writing::Idle(flushed?);
        Ok(AppendState::at(self.offset))
    }

    pub(crate) async fn finish(mut self) -> Result<AppendState, StorageError> {
        self.written().await?;
        self.flushed_early().await?;
        Ok(AppendState::at(self.offset))
    }

    /// The file with everything written to it.
    async fn written(&mut self) -> Result<File, StorageError> {
        let file = self.idle().await?;
        if self.gathered_bytes == 0 {
            return Ok(file);
        }
        self.send(file);
        self.idle().await
    }

    /// Waits for the write under way. The file is the caller's then.
    async fn idle(&mut self) -> Result<File, StorageError> {
        match mem::replace(&mut self.file, Writing::Broken) {
            Writing::Idle(file) => Ok(file),
            Writing::Broken => Err(StorageError::Broken { key: self.key }),
            Writing::Busy(task) => {
                let written = task.await.map_err(|_| StorageError::CutOff)?;
                written.map_err(|error| {
                    let error = StorageError::system("write an object", error);
                    self.store.0.disk.note(&error);
                    error
                })
            }
        }
    }

    fn gather_small(&mut self) {
        if !self.small.is_empty() {
            self.gathered.push(self.small.split().freeze());
        }
    }

    /// Starts to write what was gathered.
    fn send(&mut self, file: File) {
        self.gather_small();
        let claim = self.claim.clone();
        let chunks = mem::take(&mut self.gathered);
        let offset = self.offset;
        self.offset += self.gathered_bytes as u64;
        self.early.written += self.gathered_bytes as u64;
        self.gathered_bytes = 0;
        self.file = Writing::Busy(tokio::task::spawn_blocking(move || {
            let _claim = claim;
            write_all(&file, &chunks, offset)?;
            failpoint!("storage::append::written", |error| error);
            Ok(file)
        }));
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

/// Pieces below this are copied together.
const SMALL_BYTES: usize = 4 << 10;

/// Slices that one call takes (IOV_MAX of Linux).
const SLICES_MAX: usize = 1024;
