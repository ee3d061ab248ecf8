//! The log of everything that reached the disk, in the format of dm-log-writes, as the filter
//! `blklogwrites` of qemu writes it: a superblock of one sector, then entries, each a sector of
//! header and its data.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::command;

/// The first eight bytes of every log.
const MAGIC: u64 = 0x6a_7366_7773_6872;
pub(super) const SECTOR_BYTES: u64 = 512;
const FLUSH: u64 = 1;
const FUA: u64 = 2;
const DISCARD: u64 = 4;
/// An entry that another one has overtaken is there within moments.
const HOLE_LIMIT: Duration = Duration::from_secs(20);

/// What one entry did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Write,
    /// A write that was durable when it was done.
    DurableWrite,
    /// Everything before it became durable.
    Flush,
    /// These bytes are zero.
    Discard,
}

/// One entry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) action: Action,
    /// Where on the disk, in bytes.
    pub(super) offset: u64,
    pub(super) length: u64,
    /// Where in the log its data is.
    data_at: u64,
}

/// A log that grows or is complete.
pub(super) struct WriteLog {
    file: File,
    entries: Vec<Entry>,
    /// Where the next header is.
    next_at: u64,
}

impl WriteLog {
    /// Opens a log; nothing is read yet.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        Ok(Self {
            file,
            entries: Vec::new(),
            next_at: SECTOR_BYTES,
        })
    }

    /// How many entries there are now.
    ///
    /// Whatever was logged before the call is counted: the length of the file is taken first, and
    /// it is read up to there. Requests that run side by side take their places in the log before
    /// they fill them, so an entry may be missing for a moment behind which others are; it is
    /// waited for.
    pub(super) fn position(&mut self) -> Result<u64> {
        let length = self.file.metadata()?.len();
        let read = command::until(HOLE_LIMIT, || {
            while self.next_at < length {
                let Some(entry) = self.entry_at(self.next_at)? else {
                    return Ok(false);
                };
                let data_bytes = match entry.action {
                    Action::Write | Action::DurableWrite => entry.length,
                    Action::Flush | Action::Discard => 0,
                };
                self.next_at = entry.data_at + data_bytes.next_multiple_of(SECTOR_BYTES);
                self.entries.push(entry);
            }
            Ok(true)
        })?;
        ensure!(read, "the write log has a hole at {}", self.next_at);
        Ok(self.entries.len() as u64)
    }

    /// Reads to the end of a log that nobody writes to, and checks that nothing is missing.
    pub(super) fn complete(&mut self) -> Result<()> {
        let found = self.position()?;
        let mut superblock = [0; 20];
        self.file.read_exact_at(&mut superblock, 0)?;
        ensure!(number(&superblock[..8]) == MAGIC, "not a write log");
        let promised = number(&superblock[16..]) & u64::from(u32::MAX);
        let counted = found & u64::from(u32::MAX);
        ensure!(
            promised == counted,
            "the write log has {found} entries, its superblock says {promised}"
        );
        Ok(())
    }

    /// The entries read so far.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The bytes that an entry wrote.
    pub(super) fn data(&self, entry: &Entry) -> Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(entry.length)?];
        if entry.action != Action::Discard {
            self.file.read_exact_at(&mut bytes, entry.data_at)?;
        }
        Ok(bytes)
    }

    fn entry_at(&self, at: u64) -> Result<Option<Entry>> {
        let mut header = [0; 32];
        self.file.read_exact_at(&mut header, at)?;
        if header == [0; 32] {
            return Ok(None);
        }
        let [sector, sectors, flags] = [0, 8, 16].map(|at| number(&header[at..at + 8]));
        let action = if flags & FLUSH != 0 && sectors == 0 {
            Action::Flush
        } else if flags & DISCARD != 0 {
            Action::Discard
        } else if flags & FUA != 0 {
            Action::DurableWrite
        } else {
            Action::Write
        };
        Ok(Some(Entry {
            action,
            offset: sector * SECTOR_BYTES,
            length: sectors * SECTOR_BYTES,
            data_at: at + SECTOR_BYTES,
        }))
    }
}

/// Little-endian, of up to eight bytes.
fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(sector: u64, sectors: u64, flags: u64) -> Vec<u8> {
        let mut bytes: Vec<u8> = [sector, sectors, flags, 0]
            .iter()
            .flat_map(|n| n.to_le_bytes())
            .collect();
        bytes.resize(512, 0);
        bytes
    }

    fn superblock(entries: u64) -> Vec<u8> {
        let mut bytes: Vec<u8> = [MAGIC, 1, entries]
            .iter()
            .flat_map(|n| n.to_le_bytes())
            .collect();
        bytes.extend_from_slice(&512u32.to_le_bytes());
        bytes.resize(512, 0);
        bytes
    }

    #[test]
    fn a_log_is_read_as_it_grows() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let mut bytes = superblock(3);
        bytes.extend(header(7, 2, 0));
        bytes.extend([9; 1024]);
        std::fs::write(&path, &bytes).unwrap();
        let mut log = WriteLog::open(&path).unwrap();
        assert_eq!(log.position().unwrap(), 1);
        assert!(log.complete().is_err(), "two entries are promised still");
        bytes.extend(header(0, 0, FLUSH));
        bytes.extend(header(3, 1, FUA));
        bytes.extend([8; 512]);
        std::fs::write(&path, &bytes).unwrap();
        log.complete().unwrap();
        let actions: Vec<Action> = log.entries().iter().map(|entry| entry.action).collect();
        assert_eq!(
            actions,
            [Action::Write, Action::Flush, Action::DurableWrite]
        );
        let first = log.entries()[0];
        assert_eq!((first.offset, first.length), (3584, 1024));
        assert_eq!(log.data(&first).unwrap(), [9; 1024]);
        assert_eq!(log.data(&log.entries()[2]).unwrap(), [8; 512]);
    }
}
