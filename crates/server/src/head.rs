//! Where the requests of an HTTP/1 connection begin and end, seen from its raw bytes.
//!
//! hyper reads requests; this looks on. It knows what hyper does not tell: whether a head has begun
//! (which has a time budget), how long its first line is, and whether it states the length of its
//! body in more than one way (hyper drops a Content-Length beside a Transfer-Encoding). Behind a
//! body in chunks it loses its place, until the connection is idle.

/// What was seen of a connection's requests.
#[derive(Debug)]
pub(crate) struct Heads {
    place: Place,
    /// Heads that came whole.
    complete: u64,
    /// The first of them whose body has more than one length.
    ambiguous: Option<u64>,
    first_line_max: usize,
}

/// Where the next byte belongs.
#[derive(Debug)]
enum Place {
    Head(Head),
    Body { left: u64 },
    Unknown,
}

/// A head that has not ended.
#[derive(Debug, Default)]
struct Head {
    /// Whether anything but empty lines came.
    begun: bool,
    first_line_ended: bool,
    lengths: u32,
    encodings: u32,
    /// What the last Content-Length says, if that can be read.
    length: Option<u64>,
    line: Line,
}

/// The beginning of the line that is coming.
#[derive(Debug)]
struct Line {
    start: [u8; LINE_START],
    bytes: usize,
}

/// A first line that is longer than is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the request's first line is too long")]
pub(crate) struct TooLong;

/// Room for the longest header that is looked for, with its value.
const LINE_START: usize = 64;

impl Heads {
    /// `first_line_max` bounds the bytes of a request's first line.
    pub(crate) fn new(first_line_max: usize) -> Self {
        let place = Place::Head(Head::default());
        Self {
            place,
            complete: 0,
            ambiguous: None,
            first_line_max,
        }
    }

    /// Looks at bytes that came.
    ///
    /// # Errors
    /// [`TooLong`].
    pub(crate) fn look(&mut self, mut bytes: &[u8]) -> Result<(), TooLong> {
        while !bytes.is_empty() {
            match &mut self.place {
                Place::Unknown => return Ok(()),
                Place::Body { left } => {
                    let taken = usize::try_from(*left)
                        .unwrap_or(usize::MAX)
                        .min(bytes.len());
                    *left -= taken as u64;
                    bytes = &bytes[taken..];
                    if *left == 0 {
                        self.place = Place::Head(Head::default());
                    }
                }
                Place::Head(head) => {
                    let end = memchr::memchr(b'\n', bytes);
                    let (part, rest) = bytes.split_at(end.map_or(bytes.len(), |at| at + 1));
                    bytes = rest;
                    head.line.extend(part);
                    head.begun |= !head.line.is_empty();
                    if !head.first_line_ended && head.line.bytes > self.first_line_max {
                        return Err(TooLong);
                    }
                    if end.is_some() && head.end_line() {
                        self.end_head();
                    }
                }
            }
        }
        Ok(())
    }

    fn end_head(&mut self) {
        let Place::Head(head) = &self.place else {
            return;
        };
        self.complete += 1;
        if head.lengths + head.encodings > 1 {
            self.ambiguous.get_or_insert(self.complete);
        }
        self.place = match (head.lengths, head.encodings, head.length) {
            (0, 0, _) | (1, 0, Some(0)) => Place::Head(Head::default()),
            (1, 0, Some(left)) => Place::Body { left },
            _ => Place::Unknown,
        };
    }

    /// Takes up its place again: nothing but a head can come, and `complete` of them came before.
    pub(crate) fn resume(&mut self, complete: u64) {
        if matches!(self.place, Place::Unknown) {
            self.place = Place::Head(Head::default());
            self.complete = complete;
        }
    }

    /// Whether a head has begun and not ended.
    pub(crate) fn is_within_head(&self) -> bool {
        matches!(&self.place, Place::Head(head) if head.begun)
    }

    /// How many heads came whole.
    pub(crate) fn complete(&self) -> u64 {
        self.complete
    }

    /// The number of the first request, from 1, whose body has more than one length.
    pub(crate) fn ambiguous(&self) -> Option<u64> {
        self.ambiguous
    }
}

impl Head {
    /// Whether the head ends with the line that has come.
    fn end_line(&mut self) -> bool {
        let is_empty = self.line.is_empty();
        if is_empty {
            self.line.clear();
            // Empty lines may stand before a request.
            return self.first_line_ended;
        }
        if self.first_line_ended {
            self.end_field();
        }
        self.first_line_ended = true;
        self.line.clear();
        false
    }

    fn end_field(&mut self) {
        // Most fields are ruled out by the first letter.
        let start = self.line.start();
        if !matches!(start.first(), Some(b'c' | b'C' | b't' | b'T')) {
            return;
        }
        let Some(colon) = start.iter().position(|byte| *byte == b':') else {
            return;
        };
        let (name, value) = start.split_at(colon);
        if name.eq_ignore_ascii_case(b"content-length") {
            self.lengths += 1;
            let whole = start.len() == self.line.bytes;
            self.length = whole.then(|| number(&value[1..])).flatten();
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.encodings += 1;
        }
    }
}

impl Default for Line {
    fn default() -> Self {
        Self {
            start: [0; LINE_START],
            bytes: 0,
        }
    }
}

impl Line {
    fn extend(&mut self, part: &[u8]) {
        let have = self.bytes.min(LINE_START);
        let taken = part.len().min(LINE_START - have);
        self.start[have..have + taken].copy_from_slice(&part[..taken]);
        self.bytes += part.len();
    }

    fn start(&self) -> &[u8] {
        &self.start[..self.bytes.min(LINE_START)]
    }

    fn clear(&mut self) {
        self.bytes = 0;
    }

    fn is_empty(&self) -> bool {
        matches!(self.start(), [] | b"\r" | b"\n" | b"\r\n")
    }
}

fn number(value: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(value)
        .ok()?
        .trim_matches([' ', '\t', '\r', '\n']);
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

    /// What is seen of `text`, however it is cut.
    fn seen(text: &str) -> (u64, Option<u64>, bool) {
        let mut outcomes: Vec<_> = [1, 2, 7, 1000]
            .into_iter()
            .map(|size| {
                let mut heads = Heads::new(100);
                for part in text.as_bytes().chunks(size) {
                    heads.look(part).unwrap();
                }
                (heads.complete(), heads.ambiguous(), heads.is_within_head())
            })
            .collect();
        outcomes.dedup();
        assert_eq!(outcomes.len(), 1, "{text:?}");
        outcomes.remove(0)
    }

    fn post(headers: &str) -> String {
        format!("POST / HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n")
    }

    #[test]
    fn heads_are_found_where_they_begin_and_end() {
        for (text, expected) in [
            (String::new(), (0, None, false)),
            ("\r\n\n".to_owned(), (0, None, false)),
            ("G".to_owned(), (0, None, true)),
            (GET.to_owned(), (1, None, false)),
            (format!("\r\n{GET}{GET}"), (2, None, false)),
            (format!("{GET}GET /"), (1, None, true)),
            (GET.replace("\r\n", "\n"), (1, None, false)),
            (
                format!("{}hello{GET}", post("Content-Length: 5")),
                (2, None, false),
            ),
            (
                format!("{}\n\n\n{GET}", post("content-length:3")),
                (2, None, false),
            ),
            (
                format!("{}hell", post("Content-Length: 5")),
                (1, None, false),
            ),
            (
                format!("{}{GET}", post("Content-Length: 0")),
                (2, None, false),
            ),
            // What cannot be followed is not guessed at.
            (
                format!("{}{GET}", post("Content-Length: x")),
                (1, None, false),
            ),
            (
                format!("{}0\r\n\r\n{GET}", post("Transfer-Encoding: chunked")),
                (1, None, false),
            ),
        ] {
            assert_eq!(seen(&text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_body_with_more_than_one_length_is_found_in_any_order() {
        for headers in [
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            "transfer-encoding: chunked\r\nX: y\r\ncontent-length: 5",
            "Content-Length: 5\r\nContent-Length: 5",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        ] {
            assert_eq!(seen(&post(headers)).1, Some(1), "{headers}");
            assert_eq!(
                seen(&format!("{GET}{}", post(headers))).1,
                Some(2),
                "{headers}"
            );
        }
        let long = format!(
            "X: {}\r\nContent-Length-Not: 5\r\nContent-Length: 5",
            "y".repeat(500)
        );
        assert_eq!(seen(&post(&long)).1, None);
    }

    #[test]
    fn a_place_that_was_lost_is_taken_up_again() {
        let mut heads = Heads::new(100);
        heads
            .look(post("Transfer-Encoding: chunked").as_bytes())
            .unwrap();
        heads.look(GET.as_bytes()).unwrap();
        heads.resume(2);
        heads.look(GET.as_bytes()).unwrap();
        assert_eq!(heads.complete(), 3);
        // Where it is known, nothing changes.
        heads.resume(7);
        assert_eq!(heads.complete(), 3);
    }

    #[test]
    fn only_the_first_line_is_bounded() {
        let line = |bytes: usize| format!("GET /{} HTTP/1.1\r\n", "a".repeat(bytes - 16));
        let mut heads = Heads::new(100);
        heads.look(line(100).as_bytes()).unwrap();
        heads.look("X".repeat(1_000).as_bytes()).unwrap();
        for size in [1, 30, 1_000] {
            let mut heads = Heads::new(100);
            let text = line(101);
            let parts: Result<Vec<_>, _> = text
                .as_bytes()
                .chunks(size)
                .map(|part| heads.look(part))
                .collect();
            assert_eq!(parts, Err(TooLong));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(parts in prop::collection::vec(any::<Vec<u8>>(), 0..20)) {
            let mut heads = Heads::new(1_000_000);
            for part in parts {
                heads.look(&part).unwrap();
            }
        }
    }
}
