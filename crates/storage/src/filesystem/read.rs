//! Reading: what the kernel has in memory is read at once, what it must fetch by a thread that may
//! block. Never more than one step is held.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rustix::fs::{Advice, Dir, OFlags};
use rustix::io::{Errno, ReadWriteFlags};

use crate::error::StorageError;
use crate::key::{Key, SHARDS, shard_name};

use super::directory::Directory;
use super::opened::{Mapped, Opened, Sendable};
use super::spawn;

/// Bytes that are read at a time.
const STEP_BYTES: usize = 256 << 10;

/// Bytes that the kernel is asked to send at a time.
const UNREAD_BYTES: u64 = 1 << 20;
/// Bytes of a range whose end is enough to look at.
const SHORT_BYTES: u64 = 64 << 10;
/// Bytes that the kernel reads at once when it must ask the disk: at least a page.
const PAGE_BYTES: u64 = 4 << 10;

/// A range of an object that is read.
#[derive(Debug)]
pub struct FileReader {
    opened: Arc<Opened>,
    mapped: Option<Mapped>,
    left: Range<u64>,
}

impl FileReader {
    pub(super) fn new(opened: Arc<Opened>, range: Range<u64>) -> Self {
        Self {
            opened,
            mapped: None,
            left: range,
        }
    }

    /// The object, if the kernel can send it by itself: then [`FileReader::next_unread`] gives its
    /// bytes without reading them.
    pub(crate) fn sendable(&mut self) -> Option<Sendable> {
        self.mapped = Mapped::of(&self.opened);
        self.mapped.as_ref().map(|_| Sendable::of(&self.opened))
    }

    /// As `next`, for bytes that are not touched: they are in the kernel's memory when this
    /// returns, so that sending them does not wait for a disk.
    pub(crate) async fn next_unread(&mut self) -> Option<Result<Bytes, StorageError>> {
        let Some(mapped) = &self.mapped else {
            return self.next().await;
        };
        if self.left.is_empty() {
            return None;
        }
        let end = self.left.end.min(self.left.start + UNREAD_BYTES);
        let range = self.left.start..end;
        let bytes = mapped.part(range.clone());
        if let Err(error) = self.fetch(range).await {
            self.left = 0..0;
            return Some(Err(error));
        }
        self.left.start = end;
        Some(Ok(bytes))
    }

    /// Has the kernel get a range into its memory. Where both ends of it are there, so is, but for
    /// rare cases, what is between: files are read and forgotten in order.
    async fn fetch(&self, range: Range<u64>) -> Result<(), StorageError> {
        let is_there = |offset: u64| {
            let read = read_cached(&self.opened.file, &mut [0], offset);
            read.is_some_and(|read| read.is_ok_and(|read| read == 1))
        };
        let is_short = range.end - range.start <= SHORT_BYTES;
        if is_there(range.end - 1) && (is_short || is_there(range.start)) {
            return Ok(());
        }
        let opened = Arc::clone(&self.opened);
        spawn(move || {
            let length = range.end - range.start;
            let ahead = NonZeroU64::new(length);
            // Only advice: what it does not do, the reads below do.
            let _ = rustix::fs::fadvise(&opened.file, range.start, ahead, Advice::WillNeed);
            let step = usize::try_from(PAGE_BYTES).unwrap_or(usize::MAX);
            for offset in range.clone().step_by(step).chain([range.end - 1]) {
                if read_at(&opened.file, &mut [0], offset).map_err(|error| opened.failed(error))?
                    == 0
                {
                    return Err(cut_short(opened.key));
                }
            }
            Ok(())
        })
        .await
    }

    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, StorageError>> {
        if self.left.is_empty() {
            return None;
        }
        let read = self.step().await;
        match &read {
            Ok(bytes) => self.left.start += bytes.len() as u64,
            Err(_) => self.left = 0..0,
        }
        Some(read)
    }

    async fn step(&self) -> Result<Bytes, StorageError> {
        let left = usize::try_from(self.left.end - self.left.start).unwrap_or(usize::MAX);
        let mut buffer = BytesMut::zeroed(left.min(STEP_BYTES));
        let offset = self.left.start;
        let read = match read_cached(&self.opened.file, &mut buffer, offset) {
            Some(read) => read.map_err(|error| self.opened.failed(error))?,
            None => {
                let opened = Arc::clone(&self.opened);
                let (filled, read) = spawn(move || {
                    let read = read_at(&opened.file, &mut buffer, offset);
                    let read = read.map_err(|error| opened.failed(error))?;
                    Ok((buffer, read))
                })
                .await?;
                buffer = filled;
                read
            }
        };
        if read == 0 {
            return Err(cut_short(self.opened.key));
        }
        buffer.truncate(read);
        Ok(buffer.freeze())
    }
}

fn cut_short(key: Key) -> StorageError {
    let reason = "it was cut short while it was read";
    StorageError::Damaged { key, reason }
}

/// Reads what is in memory already; `None` where the disk must be asked.
fn read_cached(file: &File, buffer: &mut [u8], offset: u64) -> Option<io::Result<usize>> {
    let mut slices = [IoSliceMut::new(buffer)];
    match rustix::io::preadv2(file, &mut slices, offset, ReadWriteFlags::NOWAIT) {
        Ok(read) => Some(Ok(read)),
        Err(Errno::AGAIN | Errno::INTR | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => None,
        Err(errno) => Some(Err(errno.into())),
    }
}

fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    loop {
        match file.read_at(buffer, offset) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

/// Keys after `after`, folder by folder.
pub(super) fn list(
    directory: &Directory,
    after: Option<Key>,
    limit: usize,
) -> Result<Vec<Key>, StorageError> {
    let listing = |errno: Errno| StorageError::system("list the objects", errno.into());
    let first = after.map_or(0, |after| u16::from(after.shard()));
    let mut keys = Vec::new();
    for shard in first..SHARDS {
        let path = format!(
            "objects/{}",
            shard_name(u8::try_from(shard).unwrap_or(u8::MAX))
        );
        let folder = directory
            .open(&path, OFlags::RDONLY | OFlags::DIRECTORY)
            .map_err(listing)?;
        let mut found = Vec::new();
        for entry in Dir::read_from(&folder).map_err(listing)? {
            let entry = entry.map_err(listing)?;
            // What is no key is not ours.
            if let Some(key) = entry.file_name().to_str().ok().and_then(Key::parse) {
                found.push(key);
            }
        }
        found.retain(|key| after.is_none_or(|after| (key.shard(), *key) > (after.shard(), after)));
        found.sort_unstable();
        keys.extend(found);
        if keys.len() >= limit {
            break;
        }
    }
    keys.truncate(limit);
    Ok(keys)
}
