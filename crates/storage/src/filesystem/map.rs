//! A file in memory without being read: the only unsafe code of this crate.
//!
//! Bodies of answers are bytes. To have the kernel send a file by itself, its bytes are named by
//! their place in a map of it; whoever writes them to a socket finds out where they come from and
//! has the kernel send them (`opened.rs`). So in all ordinary cases no byte of a map is touched,
//! and what passes one on without knowing it sends the right bytes all the same. Measured on 256 MiB
//! blobs it is a quarter of the processor time of reading and writing.
#![expect(unsafe_code, reason = "a map of a file cannot be had without")]

use std::fs::File;

use memmap2::{Mmap, MmapOptions};

/// A map of a whole file.
#[derive(Debug)]
pub(super) struct Map(Mmap);

impl Map {
    /// Maps the first `size` bytes of an object. `None` where it has none or there is no room.
    pub(super) fn of(file: &File, size: u64) -> Option<Self> {
        let length = usize::try_from(size).ok().filter(|length| *length > 0)?;
        // SAFETY: the bytes of a map must not change while they are borrowed. Objects are sealed
        // before they are read and never written to again, and nobody else may write below the
        // data directory. If somebody cuts one short nevertheless and its bytes are touched, the
        // process ends by SIGBUS; it never reads what is not there.
        let map = unsafe { MmapOptions::new().len(length).map(file) };
        map.ok().map(Self)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}
