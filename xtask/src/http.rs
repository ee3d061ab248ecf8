//! The smallest HTTP client that can look at a registry: one request a connection, no TLS.
//!
//! It asks in HTTP/1.0, so that no answer is chunked. The real clients do the real work; this
//! one only checks, independently of them, what the registry says afterwards.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

const TIMEOUT: Duration = Duration::from_secs(30);
/// Largest answer that is read: the largest blobs that are looked at here, and their headers.
const MAX_ANSWER_BYTES: u64 = 128 << 20;

/// Every type of manifest by name: some registries do not take a star for all of them.
const ACCEPTED: &str = "application/vnd.oci.image.manifest.v1+json, \
    application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, */*";

/// An answer, its body whole in memory.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    headers: String,
}

impl Answer {
    /// The value of a header, by its name in any case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// Sends one request without a body.
///
/// # Errors
/// Where the connection fails or what comes back is not HTTP.
pub(crate) fn request(address: SocketAddr, method: &str, path: &str) -> Result<Answer> {
    exchange(address, method, path, &[], None)
}

/// Sends one request with these headers, and with a body if there is one.
///
/// # Errors
/// Where the connection fails or what comes back is not HTTP.
pub(crate) fn exchange(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&[u8]>,
) -> Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)
        .with_context(|| format!("cannot connect to {address}"))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let mut head = format!("{method} {path} HTTP/1.0\r\nHost: {address}\r\nAccept: {ACCEPTED}\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(body) = body {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    // A server may answer and close before it has read everything: the answer counts.
    let sent = stream.write_all(body.unwrap_or_default());
    let mut bytes = Vec::new();
    let read = stream.take(MAX_ANSWER_BYTES).read_to_end(&mut bytes);
    let what = || format!("{method} {path}");
    if bytes.is_empty() {
        sent.with_context(what)?;
    }
    read.with_context(what)?;
    parse(&bytes).with_context(what)
}

fn parse(bytes: &[u8]) -> Result<Answer> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        bail!("the answer has no end of headers");
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let (first, headers) = head.split_once("\r\n").unwrap_or((&head, ""));
    let status = first
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .with_context(|| format!("not a status line: {first}"))?;
    Ok(Answer {
        status,
        body: bytes[end + 4..].to_vec(),
        headers: headers.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn an_answer_has_status_headers_and_body() {
        let answer = parse(b"HTTP/1.1 200 OK\r\nDocker-Content-Digest: x\r\n\r\nbody").unwrap();
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("docker-content-digest"), Some("x"));
        assert_eq!(answer.body, b"body");
    }

    #[test]
    fn what_is_not_http_is_an_error() {
        assert!(parse(b"hello").is_err());
        assert!(parse(b"hello\r\n\r\n").is_err());
    }
}
