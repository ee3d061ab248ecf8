//! Reading: what the kernel has in memory is read at once, what it must fetch by a thread that may
//! block. Never more than one step is held.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rustix::fs::{Dir, OFlags};
use rustix::io::{Errno, ReadWriteFlags};

use crate::error::StorageError;
use crate::key::{Key, SHARDS, shard_name};

use super::directory::Directory;
use super::spawn;

/// Bytes that are read at a time.
const STEP_BYTES: usize = 256 << 10;

/// A range of an object that is read.
#[derive(Debug)]
pub struct FileReader {
    key: Key,
    file: Arc<File>,
    left: Range<u64>,
}

impl FileReader {
    pub(super) fn new(key: Key, file: File, range: Range<u64>) -> Self {
        Self {
            key,
            file: Arc::new(file),
            left: range,
        }
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
        let read = match read_cached(&self.file, &mut buffer, offset) {
            Some(read) => read.map_err(failed)?,
            None => {
                let file = Arc::clone(&self.file);
                let (filled, read) = spawn(move || {
                    let read = read_at(&file, &mut buffer, offset).map_err(failed)?;
                    Ok((buffer, read))
                })
                .await?;
                buffer = filled;
                read
            }
        };
        if read == 0 {
            let reason = "it was cut short while it was read";
            return Err(StorageError::Damaged {
                key: self.key,
                reason,
            });
        }
        buffer.truncate(read);
        Ok(buffer.freeze())
    }
}

fn failed(error: io::Error) -> StorageError {
    StorageError::system("read an object", error)
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
