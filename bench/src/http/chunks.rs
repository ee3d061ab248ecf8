//! A body with chunked transfer encoding, as its bytes come in.

use anyhow::{Context, Result, bail, ensure};

/// Longest line between chunks, in bytes.
const LINE_MAX: usize = 4 << 10;

/// What comes next.
enum Next {
    /// The line with a chunk's size.
    Size,
    /// So many bytes of a chunk.
    Data(u64),
    /// The line break behind a chunk.
    Break,
    /// Lines behind the last chunk, up to an empty one.
    Trailer,
    /// Nothing.
    End,
}

/// A chunked body that is being read.
pub(crate) struct Chunks {
    next: Next,
    line: Vec<u8>,
}

impl Chunks {
    pub(crate) fn new() -> Self {
        Self {
            next: Next::Size,
            line: Vec::new(),
        }
    }

    /// Takes the next bytes and hands those of the body on. True: the body is whole.
    ///
    /// # Errors
    /// Bytes that are no chunks, or that come after the last one.
    pub(crate) fn feed(&mut self, bytes: &[u8], body: &mut impl FnMut(&[u8])) -> Result<bool> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.next {
                Next::End => bail!("the server sent more than the answer has"),
                Next::Data(left) => {
                    let count = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    let (data, after) = rest.split_at(count);
                    body(data);
                    rest = after;
                    let left = left - count as u64;
                    self.next = if left == 0 {
                        Next::Break
                    } else {
                        Next::Data(left)
                    };
                }
                Next::Size | Next::Break | Next::Trailer => {
                    let end = rest.iter().position(|byte| *byte == b'\n');
                    let (line, after) = rest.split_at(end.map_or(rest.len(), |end| end + 1));
                    self.line.extend_from_slice(line);
                    rest = after;
                    ensure!(
                        self.line.len() <= LINE_MAX,
                        "a line between chunks does not end"
                    );
                    if end.is_some() {
                        self.take_line()?;
                    }
                }
            }
        }
        Ok(matches!(self.next, Next::End))
    }

    fn take_line(&mut self) -> Result<()> {
        let line = std::mem::take(&mut self.line);
        let line = std::str::from_utf8(&line)?.trim_end();
        self.next = match self.next {
            Next::Size => {
                let digits = line.split(';').next().unwrap_or_default().trim_end();
                match u64::from_str_radix(digits, 16).context("no chunk size")? {
                    0 => Next::Trailer,
                    size => Next::Data(size),
                }
            }
            Next::Break => {
                ensure!(line.is_empty(), "a chunk is longer than it says");
                Next::Size
            }
            Next::Trailer if line.is_empty() => Next::End,
            _ => Next::Trailer,
        };
        Ok(())
    }
}
