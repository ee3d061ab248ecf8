//! Objects that are open: for reading, and for the kernel to send by itself.
//!
//! Files that were read lately stay open, as many as a fraction of what the process may have. An
//! object never changes, so an open file is as good as its name, as long as that is still there.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, OnceLock, Weak};

use bytes::Bytes;
use rustix::fs::fstat;
use rustix::io::Errno;

use crate::disk::{self, Disk};
use crate::error::StorageError;
use crate::key::Key;

use super::map::Map;

/// An object's file. Dropped, it is closed.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) key: Key,
    pub(super) file: File,
    pub(super) size: u64,
    /// Told of what a read of it says.
    disk: Arc<Disk>,
    map: OnceLock<Option<Map>>,
}

impl Opened {
    pub(super) fn new(key: Key, file: File, size: u64, disk: Arc<Disk>) -> Self {
        Self {
            key,
            file,
            size,
            disk,
            map: OnceLock::new(),
        }
    }

    /// Whether the name still leads here and nothing was cut off or added.
    fn is_whole(&self) -> bool {
        let size = i64::try_from(self.size);
        fstat(&self.file).is_ok_and(|stat| stat.st_nlink > 0 && Ok(stat.st_size) == size)
    }

    /// An error of the system while it was read.
    pub(super) fn failed(&self, error: io::Error) -> StorageError {
        let error = StorageError::system("read an object", error);
        self.disk.note(&error);
        error
    }

    /// The same while the kernel sent it: most errors are the socket's. Those of the disk have no
    /// other way into the log, since all that the connection does is break off.
    fn not_sent(&self, errno: Errno) {
        let error = io::Error::from(errno);
        if disk::is_broken(&error) {
            let error = self.failed(error);
            tracing::error!(
                key = %self.key,
                error = &error as &dyn std::error::Error,
                "an object could not be sent whole"
            );
        }
    }

    fn map(&self) -> Option<&Map> {
        let made = self.map.get_or_init(|| Map::of(&self.file, self.size));
        made.as_ref()
    }

    /// The place of bytes that are a part of the map.
    fn place(&self, bytes: &[u8]) -> Option<Range<u64>> {
        let map = self.map()?.bytes().as_ptr_range();
        let part = bytes.as_ptr_range();
        if bytes.is_empty() || part.start < map.start || part.end > map.end {
            return None;
        }
        let start = part.start.addr() - map.start.addr();
        Some(start as u64..(start + bytes.len()) as u64)
    }
}

/// The bytes of an object, without reading them.
#[derive(Debug)]
pub(super) struct Mapped(Bytes);

struct Owner(Arc<Opened>);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        self.0.map().map_or(&[], Map::bytes)
    }
}

impl Mapped {
    /// `None` where the object cannot be mapped: it is empty, or larger than addresses go.
    pub(super) fn of(opened: &Arc<Opened>) -> Option<Self> {
        opened.map()?;
        Some(Self(Bytes::from_owner(Owner(Arc::clone(opened)))))
    }

    /// `range` lies within the object.
    pub(super) fn part(&self, range: Range<u64>) -> Bytes {
        let at = |offset: u64| {
            usize::try_from(offset)
                .unwrap_or(usize::MAX)
                .min(self.0.len())
        };
        self.0.slice(at(range.start)..at(range.end))
    }
}

/// An object that the kernel can send to a socket without its bytes ever coming here. It keeps
/// nothing open: only the bytes that came from [`crate::ObjectReader::next_unread`] do.
#[derive(Debug, Clone, Default)]
pub struct Sendable(Weak<Opened>);

impl Sendable {
    pub(super) fn of(opened: &Arc<Opened>) -> Self {
        Self(Arc::downgrade(opened))
    }

    /// Whether bytes are this object's, so that [`Sendable::send`] sends them.
    pub fn has(&self, bytes: &[u8]) -> bool {
        self.0
            .upgrade()
            .is_some_and(|opened| opened.place(bytes).is_some())
    }

    /// Sends a part of the object, as much as the socket has room for. How many bytes that were.
    ///
    /// # Errors
    /// Those of the socket, [`io::ErrorKind::WouldBlock`] where it has no room;
    /// [`io::ErrorKind::UnexpectedEof`] where the object was cut short;
    /// [`io::ErrorKind::InvalidInput`] for bytes that are not this object's.
    pub fn send(&self, socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
        let opened = self.0.upgrade().ok_or(io::ErrorKind::InvalidInput)?;
        let place = opened.place(bytes).ok_or(io::ErrorKind::InvalidInput)?;
        let mut offset = place.start;
        let count = bytes.len();
        match rustix::fs::sendfile(socket, &opened.file, Some(&mut offset), count) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(sent) => Ok(sent),
            Err(errno) => {
                opened.not_sent(errno);
                Err(errno.into())
            }
        }
    }
}

/// Files that stay open for the next reader.
#[derive(Debug)]
pub(super) struct OpenedFiles(quick_cache::sync::Cache<Key, Arc<Opened>>);

impl OpenedFiles {
    /// Of `files` that the process may have open, a fraction stays open here.
    pub(super) fn of(files: u64) -> Self {
        let most = usize::try_from(files / FRACTION).unwrap_or(FILES_MAX);
        Self(quick_cache::sync::Cache::new(most.min(FILES_MAX)))
    }

    pub(super) fn get(&self, key: Key, size: u64) -> Option<Arc<Opened>> {
        let opened = self.0.get(&key)?;
        if opened.size == size && opened.is_whole() {
            return Some(opened);
        }
        self.forget(key);
        None
    }

    pub(super) fn keep(&self, opened: &Arc<Opened>) {
        self.0.insert(opened.key, Arc::clone(opened));
    }

    pub(super) fn forget(&self, key: Key) {
        self.0.remove(&key);
    }
}

const FRACTION: u64 = 16;
const FILES_MAX: usize = 1_024;

#[cfg(test)]
mod tests;
