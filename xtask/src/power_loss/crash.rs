//! Disks as a power loss may leave them.
//!
//! A disk may keep what was written since the last flush in any part and in any order; what was
//! before the flush, it has. A crash state is a position in the log, everything up to the last
//! flush before it, and a choice of the writes behind that flush.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use rustix::fs::SeekFrom;
use rustix::io::Errno;

use super::history::History;
use super::random::Random;
use super::write_log::{Action, Entry, SECTOR_BYTES, WriteLog};

/// What the disk makes of flushes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flushes {
    Honoured,
    /// The last ones before the crash did nothing. Only to see that the check would find it.
    Lied,
}

/// Flushes that a lying disk forgets.
const FORGOTTEN: usize = 40;
const COPY_BYTES: usize = 64 << 10;

/// A crash: how many entries had been logged, and the seed of what was kept of the unflushed ones.
#[derive(Debug, Clone)]
pub(super) struct Crash {
    pub(super) number: u32,
    pub(super) position: u64,
    pub(super) kept: Kept,
}

/// Which of the unflushed writes are on the disk.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kept {
    Nothing,
    Everything,
    /// Everything, and of the last write only some sectors.
    Torn,
    /// Each with this chance in a hundred.
    Some(u64),
    /// All up to a random one, behind it each with an even chance.
    Reordered,
}

/// Chooses crashes, in the order of their positions. Half of them are anywhere in the log, half
/// right behind an answer: there most is owed and least has had time to reach the disk by chance.
/// A lying disk is looked at only there, and never after it kept everything by good luck.
pub(super) fn plan(
    seed: u64,
    states: u32,
    flushes: Flushes,
    history: &History,
    entries: u64,
) -> Vec<Crash> {
    let lied = flushes == Flushes::Lied;
    let mut random = Random::of(seed, "plan");
    let mut crashes: Vec<Crash> = (0..states)
        .map(|number| {
            let position = match random.one_of(&history.operations) {
                Some(operation) if lied || number % 2 == 0 => operation.after + random.below(3),
                _ => random.below(entries + 1),
            };
            let kept = match random.below(10) {
                0 | 1 => Kept::Nothing,
                _ if lied => Kept::Some(random.below(50)),
                2 | 3 => Kept::Everything,
                4 => Kept::Torn,
                5 | 6 => Kept::Reordered,
                _ => Kept::Some(10 + random.below(80)),
            };
            Crash {
                number,
                position: position.min(entries),
                kept,
            }
        })
        .collect();
    crashes.sort_by_key(|crash| (crash.position, crash.number));
    crashes
}

/// A disk that is taken from one flush to the next, and from which crash states are made.
pub(super) struct Disk {
    image: File,
    log: WriteLog,
    /// Entries that are on it.
    applied: usize,
    seed: u64,
    flushes: Flushes,
}

impl Disk {
    /// Starts with a copy of the disk as it was before the first entry.
    pub(super) fn new(
        base: &Path,
        mut log: WriteLog,
        seed: u64,
        flushes: Flushes,
        at: &Path,
    ) -> Result<Self> {
        log.complete()?;
        let image = copy(&File::open(base)?, at)?;
        Ok(Self {
            image,
            log,
            applied: 0,
            seed,
            flushes,
        })
    }

    /// Writes the disk that a crash leaves to a file. Crashes come in the order of their positions.
    pub(super) fn write(&mut self, crash: &Crash, to: &Path) -> Result<()> {
        let end = usize::try_from(crash.position)?;
        let flushed = self.flushed_before(end);
        while self.applied < flushed {
            let entry = self.log.entries()[self.applied];
            self.apply(&self.image, &entry, None)?;
            self.applied += 1;
        }
        let image = copy(&self.image, to)?;
        let unflushed: Vec<Entry> = self.log.entries()[self.applied..end].to_vec();
        let name = format!("crash {} at {}", crash.number, crash.position);
        let mut random = Random::of(self.seed, &name);
        let cut = random.index(unflushed.len() + 1);
        for (at, entry) in unflushed.iter().enumerate() {
            let last = at + 1 == unflushed.len();
            let kept = entry.action == Action::DurableWrite && self.flushes == Flushes::Honoured
                || match crash.kept {
                    Kept::Nothing => false,
                    Kept::Everything | Kept::Torn => true,
                    Kept::Some(percent) => random.percent(percent),
                    Kept::Reordered => at < cut || random.percent(50),
                };
            let torn = last && matches!(crash.kept, Kept::Torn);
            if kept {
                self.apply(&image, entry, torn.then_some(&mut random))?;
            }
        }
        Ok(())
    }

    /// Entries that are durable in a crash after `end` ones.
    fn flushed_before(&self, end: usize) -> usize {
        let forgotten = match self.flushes {
            Flushes::Honoured => 0,
            Flushes::Lied => FORGOTTEN,
        };
        let before = self.log.entries()[..end].iter().enumerate().rev();
        let mut flushes = before.filter(|(_, entry)| entry.action == Action::Flush);
        flushes.nth(forgotten).map_or(0, |(at, _)| at)
    }

    fn apply(&self, image: &File, entry: &Entry, torn: Option<&mut Random>) -> Result<()> {
        if entry.action == Action::Flush {
            return Ok(());
        }
        let data = self.log.data(entry)?;
        let Some(random) = torn else {
            return Ok(image.write_all_at(&data, entry.offset)?);
        };
        let sector_bytes = usize::try_from(SECTOR_BYTES)?;
        let mut offset = entry.offset;
        for sector in data.chunks(sector_bytes) {
            if random.percent(50) {
                image.write_all_at(sector, offset)?;
            }
            offset += SECTOR_BYTES;
        }
        Ok(())
    }
}

/// Copies a sparse file; its holes, and what is zero all the same, are holes of the copy.
pub(super) fn copy(from: &File, to: &Path) -> Result<File> {
    let target: PathBuf = to.to_owned();
    if target.exists() {
        // A new file, since holes of the copy must be zero.
        std::fs::remove_file(&target)?;
    }
    let copy = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&target)?;
    copy.set_len(from.metadata()?.len())?;
    let mut buffer = vec![0; COPY_BYTES];
    let zeros = vec![0; COPY_BYTES];
    let mut end = 0;
    loop {
        let mut at = match rustix::fs::seek(from, SeekFrom::Data(end)) {
            Ok(at) => at,
            Err(Errno::NXIO) => return Ok(copy),
            Err(errno) => return Err(io::Error::from(errno).into()),
        };
        end = rustix::fs::seek(from, SeekFrom::Hole(at)).map_err(io::Error::from)?;
        while at < end {
            let length = usize::try_from(end - at)?.min(buffer.len());
            from.read_exact_at(&mut buffer[..length], at)?;
            if buffer[..length] != zeros[..length] {
                copy.write_all_at(&buffer[..length], at)?;
            }
            at += length as u64;
        }
    }
}
