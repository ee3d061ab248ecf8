//! One answer as its bytes come in.

use anyhow::{Result, bail, ensure};

use super::chunks::Chunks;

/// Longest head of an answer, in bytes.
const HEAD_MAX: usize = 16 << 10;

/// What the reader needs of an answer's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    status: u16,
    length: Option<u64>,
    chunked: bool,
    /// Bytes of the head, the empty line included.
    bytes: usize,
}

/// How much of the body is still to come.
enum Rest {
    Bytes(u64),
    Chunks(Chunks),
}

/// An answer that is being read.
pub(crate) struct Reading {
    /// The beginning of a head that did not come at once.
    held: Vec<u8>,
    status: u16,
    rest: Option<Rest>,
    bodiless: bool,
    keep_head: bool,
}

impl Reading {
    /// The answer to a GET, or with `bodiless` to a HEAD.
    pub(crate) fn new(bodiless: bool) -> Self {
        Self {
            held: Vec::new(),
            status: 0,
            rest: None,
            bodiless,
            keep_head: false,
        }
    }

    /// The same, and [`Reading::head`] is the whole head afterwards.
    pub(crate) fn keeping_head(bodiless: bool) -> Self {
        Self {
            keep_head: true,
            ..Self::new(bodiless)
        }
    }

    /// Ready for the next answer of the same kind.
    pub(crate) fn restart(&mut self) {
        self.held.clear();
        self.status = 0;
        self.rest = None;
    }

    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    /// Whether the head is there.
    pub(crate) fn begun(&self) -> bool {
        self.rest.is_some()
    }

    /// The head's text, if it was to be kept.
    pub(crate) fn head(&self) -> String {
        String::from_utf8_lossy(&self.held).into_owned()
    }

    /// Takes the next bytes and hands those of the body on. True: the answer is whole.
    ///
    /// # Errors
    /// Bytes that are no answer, or more of them than the answer has.
    pub(crate) fn feed(&mut self, bytes: &[u8], body: &mut impl FnMut(&[u8])) -> Result<bool> {
        let mut bytes = bytes;
        if self.rest.is_none() {
            let (head, before) = if self.held.is_empty() {
                (parse(bytes)?, 0)
            } else {
                let before = self.held.len();
                self.held.extend_from_slice(bytes);
                (parse(&self.held)?, before)
            };
            let Some(head) = head else {
                if self.held.is_empty() {
                    self.held.extend_from_slice(bytes);
                }
                ensure!(
                    self.held.len() <= HEAD_MAX,
                    "the head of an answer does not end"
                );
                return Ok(false);
            };
            let of_head = bytes.get(..head.bytes - before).unwrap_or_default();
            bytes = bytes.get(head.bytes - before..).unwrap_or_default();
            if self.keep_head {
                if before == 0 {
                    self.held.extend_from_slice(of_head);
                }
                self.held.truncate(head.bytes);
            }
            self.status = head.status;
            self.rest = Some(self.rest_after(head)?);
        }
        let done = match &mut self.rest {
            None => false,
            Some(Rest::Chunks(chunks)) => chunks.feed(bytes, body)?,
            Some(Rest::Bytes(left)) => {
                let Some(after) = left.checked_sub(bytes.len() as u64) else {
                    bail!("the server sent more than the answer has");
                };
                *left = after;
                if !bytes.is_empty() {
                    body(bytes);
                }
                after == 0
            }
        };
        Ok(done)
    }

    fn rest_after(&self, head: Head) -> Result<Rest> {
        if self.bodiless || head.status == 204 || head.status == 304 {
            return Ok(Rest::Bytes(0));
        }
        match (head.chunked, head.length) {
            (true, _) => Ok(Rest::Chunks(Chunks::new())),
            (false, Some(length)) => Ok(Rest::Bytes(length)),
            (false, None) => bail!("an answer without a length"),
        }
    }
}

/// Reads a head; `None`: it is not whole yet.
fn parse(bytes: &[u8]) -> Result<Option<Head>> {
    let mut head = Head {
        status: 0,
        length: None,
        chunked: false,
        bytes: 0,
    };
    let mut rest = bytes;
    loop {
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            return Ok(None);
        };
        let (line, after) = rest.split_at(end + 1);
        let line = line.trim_ascii_end();
        rest = after;
        head.bytes += end + 1;
        if head.status == 0 {
            head.status = status(line)?;
        } else if line.is_empty() {
            return Ok(Some(head));
        } else if let Some(value) = field(line, b"content-length:") {
            head.length = Some(std::str::from_utf8(value)?.parse()?);
        } else if let Some(value) = field(line, b"transfer-encoding:") {
            head.chunked = value.eq_ignore_ascii_case(b"chunked");
        }
    }
}

fn status(line: &[u8]) -> Result<u16> {
    let code = line
        .strip_prefix(b"HTTP/1.1 ")
        .and_then(|rest| rest.get(..3));
    match code {
        Some(code) => Ok(std::str::from_utf8(code)?.parse()?),
        None => bail!("no HTTP/1.1 answer: {}", String::from_utf8_lossy(line)),
    }
}

/// The value of a line, if the line is this field.
fn field<'l>(line: &'l [u8], name: &[u8]) -> Option<&'l [u8]> {
    let (found, value) = line.split_at_checked(name.len())?;
    found
        .eq_ignore_ascii_case(name)
        .then(|| value.trim_ascii_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds pieces of this length, and returns the status and the body.
    fn read(text: &str, piece: usize, bodiless: bool) -> Result<(u16, String, String)> {
        let mut reading = Reading::keeping_head(bodiless);
        let mut body = Vec::new();
        let mut pieces = text.as_bytes().chunks(piece).peekable();
        while let Some(bytes) = pieces.next() {
            let done = reading.feed(bytes, &mut |part| body.extend_from_slice(part))?;
            assert_eq!(done, pieces.peek().is_none());
        }
        Ok((reading.status(), reading.head(), String::from_utf8(body)?))
    }

    #[test]
    fn answers_may_come_in_pieces() {
        let head = "HTTP/1.1 206 Partial\r\nContent-Length: 7\r\nX: y\r\n\r\n";
        for piece in 1..80 {
            let (status, kept, body) = read(&format!("{head}seven 7"), piece, false).unwrap();
            assert_eq!(
                (status, kept.as_str(), body.as_str()),
                (206, head, "seven 7")
            );
        }
    }

    #[test]
    fn chunked_answers_are_put_together() {
        let text =
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        for piece in 1..80 {
            assert_eq!(read(text, piece, false).unwrap().2, "abcde");
        }
    }

    #[test]
    fn an_answer_to_head_has_no_body() {
        let text = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n";
        assert_eq!(read(text, 80, true).unwrap().2, "");
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for text in [
            "SSH-2.0-x\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab",
        ] {
            assert!(read(text, 80, false).is_err(), "{text}");
        }
    }
}
