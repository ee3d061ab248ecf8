//! A look at the raw bytes of an HTTP/1 request's head, for what the HTTP library does not tell: a
//! first line without end, and a Content-Length beside a Transfer-Encoding, which it drops.

/// One head, as far as it came.
#[derive(Debug, Default)]
pub(crate) struct HeadScan {
    /// The beginning of the line that is not ended yet.
    line: Vec<u8>,
    line_bytes: usize,
    lines: usize,
    has_length: bool,
    has_encoding: bool,
    ended: bool,
}

/// Bytes of a line that are looked at: more than the names that matter have.
const LOOKED_AT: usize = 24;

impl HeadScan {
    /// Takes bytes that were read. What follows the head is passed over.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.ended {
                return;
            }
            let room = LOOKED_AT.saturating_sub(self.line.len());
            self.line.extend_from_slice(&part[..part.len().min(room)]);
            self.line_bytes += part.len();
            if part.ends_with(b"\n") {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        let is_empty = matches!(self.line.as_slice(), b"\n" | b"\r\n");
        // Empty lines before a request are none of its head (RFC 9112 §2.2).
        if !is_empty {
            self.lines += 1;
            if self.lines > 1 {
                self.header();
            }
        } else if self.lines > 0 {
            self.ended = true;
        }
        self.line.clear();
        self.line_bytes = 0;
    }

    fn header(&mut self) {
        let name = self
            .line
            .split(|byte| *byte == b':')
            .next()
            .unwrap_or_default();
        self.has_length |= name.eq_ignore_ascii_case(b"content-length");
        self.has_encoding |= name.eq_ignore_ascii_case(b"transfer-encoding");
    }

    /// Bytes of the first line, while it has no end.
    pub(crate) fn first_line_bytes(&self) -> usize {
        if self.lines == 0 { self.line_bytes } else { 0 }
    }

    /// Whether the body's length is said in two ways.
    pub(crate) fn has_two_lengths(&self) -> bool {
        self.has_length && self.has_encoding
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BOTH: &[u8] =
        b"\r\nPOST / HTTP/1.1\r\ncontent-LENGTH: 5\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n";

    #[test]
    fn two_lengths_are_seen_in_either_order_and_only_in_the_head() {
        for (head, expected) in [
            (BOTH, true),
            (
                b"P / HTTP/1.1\r\nTransfer-Encoding:x\r\nContent-Length: 5\n\r\n".as_slice(),
                true,
            ),
            (
                b"P / HTTP/1.1\r\nContent-Length: 5\r\n\r\nTransfer-Encoding: x\r\n",
                false,
            ),
            (
                b"P /content-length:transfer-encoding: HTTP/1.1\r\nContent-Length: 5\r\n\r\n",
                false,
            ),
            (
                b"P / HTTP/1.1\r\nX-Transfer-Encoding: x\r\nContent-Length: 5\r\n\r\n",
                false,
            ),
        ] {
            let mut scan = HeadScan::default();
            scan.feed(head);
            assert_eq!(
                scan.has_two_lengths(),
                expected,
                "{}",
                String::from_utf8_lossy(head)
            );
        }
    }

    #[test]
    fn the_first_line_is_counted_until_it_ends() {
        let mut scan = HeadScan::default();
        scan.feed(b"\r\nGET /");
        assert_eq!(scan.first_line_bytes(), 5);
        scan.feed(&[b'a'; 1_000]);
        assert_eq!(scan.first_line_bytes(), 1_005);
        scan.feed(b" HTTP/1.1\r\nHost");
        assert_eq!(scan.first_line_bytes(), 0);
    }

    proptest! {
        #[test]
        fn how_the_bytes_are_cut_makes_no_difference(cuts in proptest::collection::vec(1_usize..9, 0..40)) {
            let mut scan = HeadScan::default();
            let mut rest = BOTH;
            for cut in cuts {
                let (part, left) = rest.split_at(cut.min(rest.len()));
                scan.feed(part);
                rest = left;
            }
            scan.feed(rest);
            prop_assert!(scan.has_two_lengths());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            HeadScan::default().feed(&bytes);
        }
    }
}
