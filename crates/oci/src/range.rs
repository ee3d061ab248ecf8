//! Numbers and ranges of requests: bounded before anything is allocated for them.

use std::ops::Range;

/// Ranges of one request at most; with more, the whole is sent.
pub const RANGES_MAX: usize = 16;

/// The one unit of ranges.
const UNIT: &str = "bytes";

/// What a Range header asks of content of a known size (RFC 9110 §14.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requested {
    /// All of it: the ranges are too many, or add up to more than the whole.
    Whole,
    /// These parts, each not empty and within the size, in the order asked.
    Parts(Vec<Range<u64>>),
    /// No range overlaps the content.
    Unsatisfiable,
    /// The header is none that can be understood; it counts as absent.
    Ignored,
}

/// Reader of Range headers.
#[derive(Debug, Clone, Copy)]
pub struct Ranges;

impl Ranges {
    /// Reads `bytes=…` for content of `size` bytes. A position beyond 64 bits is past every end.
    #[must_use]
    pub fn parse(header: &str, size: u64) -> Requested {
        let Some((unit, set)) = header.split_once('=') else {
            return Requested::Ignored;
        };
        if !unit.eq_ignore_ascii_case(UNIT) {
            return Requested::Ignored;
        }
        // Empty elements of a list count for nothing (RFC 9110 §5.6.1.2).
        let specs = || {
            set.split(',')
                .map(str::trim_ascii)
                .filter(|spec| !spec.is_empty())
        };
        match specs().take(RANGES_MAX + 1).count() {
            0 => return Requested::Ignored,
            count if count > RANGES_MAX => return Requested::Whole,
            _ => {}
        }
        let mut parts = Vec::new();
        for spec in specs() {
            match part(spec, size) {
                None => return Requested::Ignored,
                Some(part) if part.is_empty() => {}
                Some(part) => parts.push(part),
            }
        }
        let total: u128 = parts
            .iter()
            .map(|part| u128::from(part.end - part.start))
            .sum();
        match parts.len() {
            // There is nothing of empty content that a range could leave out.
            0 if size == 0 => Requested::Whole,
            0 => Requested::Unsatisfiable,
            1 => Requested::Parts(parts),
            _ if total > u128::from(size) => Requested::Whole,
            _ => Requested::Parts(parts),
        }
    }
}

/// One range; an empty one does not overlap the content. `None`: not a range.
fn part(spec: &str, size: u64) -> Option<Range<u64>> {
    let (first, last) = spec.split_once('-')?;
    if first.is_empty() {
        let suffix = position(last)?;
        return Some(size.saturating_sub(suffix)..size);
    }
    let first = position(first)?;
    let end = match last {
        "" => size,
        last => {
            let last = position(last)?;
            // One that ends before it begins is answered as one behind the end, which is what
            // clients know from `distribution`; RFC 9110 leaves both open.
            last.saturating_add(1).min(size)
        }
    };
    Some(if first < end { first..end } else { 0..0 })
}

/// Digits alone; what does not fit is past every end.
fn position(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

/// The range of an uploaded chunk: first and last byte, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentRange {
    first: u64,
    last: u64,
}

/// A text is no range of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a chunk's range is <first byte>-<last byte>")]
pub struct ContentRangeError;

impl ContentRange {
    /// Reads `<first>-<last>` (OCI distribution end-5), also in HTTP's own form
    /// `bytes <first>-<last>/<total or *>`.
    ///
    /// # Errors
    /// Where it is neither, reversed, or its length does not fit 63 bits.
    pub fn parse(text: &str) -> Result<Self, ContentRangeError> {
        let text = text.trim_ascii();
        let range = match text.split_at_checked(UNIT.len()) {
            Some((unit, rest)) if unit.eq_ignore_ascii_case(UNIT) => {
                rest.strip_prefix([' ', '=']).ok_or(ContentRangeError)?
            }
            _ => text,
        };
        let (range, total) = match range.split_once('/') {
            Some((range, total)) => (range, Some(total)),
            None => (range, None),
        };
        let (first, last) = range.split_once('-').ok_or(ContentRangeError)?;
        let (first, last) = (bounded(first)?, bounded(last)?);
        let total_fits = match total {
            None | Some("*") => true,
            Some(total) => bounded(total)? > last,
        };
        if first <= last && total_fits {
            Ok(Self { first, last })
        } else {
            Err(ContentRangeError)
        }
    }

    /// Offset of the first byte.
    #[must_use]
    pub const fn first(self) -> u64 {
        self.first
    }

    /// Offset of the last byte.
    #[must_use]
    pub const fn last(self) -> u64 {
        self.last
    }

    /// Bytes in the chunk, at least one.
    #[must_use]
    pub const fn length(self) -> u64 {
        self.last - self.first + 1
    }
}

/// Digits alone, at most 2^63−2, so that an end is a signed 64-bit number everywhere.
fn bounded(text: &str) -> Result<u64, ContentRangeError> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ContentRangeError);
    }
    let number: u64 = text.parse().map_err(|_| ContentRangeError)?;
    if number < i64::MAX as u64 {
        Ok(number)
    } else {
        Err(ContentRangeError)
    }
}

/// How many items a client wants on a page: `n`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageSize(u64);

/// A text is no page size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("n is a number from 0 to 2^63-1")]
pub struct PageSizeError;

impl PageSize {
    /// # Errors
    /// Where the text is no number, negative or above 2^63−1.
    pub fn parse(text: &str) -> Result<Self, PageSizeError> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(PageSizeError);
        }
        let number: i64 = text.parse().map_err(|_| PageSizeError)?;
        u64::try_from(number).map(Self).map_err(|_| PageSizeError)
    }

    /// The size, at most `max`.
    #[must_use]
    pub fn clamp(self, max: u32) -> u32 {
        u32::try_from(self.0).unwrap_or(u32::MAX).min(max)
    }
}

#[cfg(test)]
mod tests;
