//! What a request's headers must not leave open: how long its body is, and whom it is for.
//!
//! A request that two readers can cut differently is refused and its connection closed. hyper has
//! refused much of it before (RFC 9112 §6.3); here stands what it lets through, and in `head.rs`
//! what it does not show.

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::uri::Authority;
use http::{HeaderMap, Method, Request, Version};

/// Why a request is refused before it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Ambiguous {
    #[error("the request has both Content-Length and Transfer-Encoding")]
    LengthAndEncoding,
    #[error("the request states the length of its body more than once")]
    Lengths,
    #[error("the Content-Length is no number of bytes")]
    Length,
    #[error("the only Transfer-Encoding that is taken is chunked, once")]
    Encoding,
    #[error("an HTTP/1.1 request has exactly one Host, which is a name with or without a port")]
    Host,
    #[error("the registry is no proxy and opens no tunnels")]
    Connect,
}

/// # Errors
/// What is ambiguous about the request.
pub(crate) fn check<B>(request: &Request<B>) -> Result<(), Ambiguous> {
    if *request.method() == Method::CONNECT {
        return Err(Ambiguous::Connect);
    }
    let headers = request.headers();
    if request.version() >= Version::HTTP_2 {
        return Ok(());
    }
    check_framing(headers)?;
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next();
    let missing = host.is_none() && request.version() == Version::HTTP_11;
    if missing || hosts.next().is_some() || host.is_some_and(|host| !is_host(host.as_bytes())) {
        return Err(Ambiguous::Host);
    }
    Ok(())
}

/// A host with perhaps a port, or nothing (RFC 9110 §7.2).
fn is_host(text: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b".-".contains(byte);
    let (name, port) = match text.iter().position(|byte| *byte == b':') {
        Some(colon) => (&text[..colon], &text[colon + 1..]),
        None => (text, &b"0"[..]),
    };
    // What almost all are, without a copy.
    if !name.is_empty()
        && name.iter().all(plain)
        && matches!(port, [b'0'..=b'9'] | [b'1'..=b'9', b'0'..=b'9', ..])
        && port.len() < 5
        && port.iter().all(u8::is_ascii_digit)
    {
        return true;
    }
    text.is_empty()
        || (Authority::try_from(text).is_ok() && !text.iter().any(|b| b"@,".contains(b)))
}

fn check_framing(headers: &HeaderMap) -> Result<(), Ambiguous> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let mut encodings = headers.get_all(TRANSFER_ENCODING).iter();
    let (length, encoding) = (lengths.next(), encodings.next());
    if length.is_some() && encoding.is_some() {
        return Err(Ambiguous::LengthAndEncoding);
    }
    if lengths.next().is_some() {
        return Err(Ambiguous::Lengths);
    }
    let is_number = |bytes: &[u8]| !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit);
    if length.is_some_and(|length| !is_number(length.as_bytes())) {
        return Err(Ambiguous::Length);
    }
    let chunked = encoding.is_none_or(|it| it.as_bytes().eq_ignore_ascii_case(b"chunked"));
    if !chunked || encodings.next().is_some() {
        return Err(Ambiguous::Encoding);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(version: Version, lines: &[(&str, &str)]) -> Result<(), Ambiguous> {
        let mut request = Request::builder().version(version);
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        check(&request.body(()).unwrap())
    }

    #[test]
    fn what_two_readers_could_cut_differently_is_refused() {
        use Ambiguous::{Encoding, Host, Length, LengthAndEncoding, Lengths};
        let host = ("host", "a");
        for (lines, expected) in [
            (vec![host], Ok(())),
            (vec![host, ("content-length", "5")], Ok(())),
            (vec![host, ("transfer-encoding", "Chunked")], Ok(())),
            (vec![], Err(Host)),
            (vec![host, host], Err(Host)),
            (vec![("host", "")], Ok(())),
            (vec![("host", "my_registry.example:5000")], Ok(())),
            (vec![("host", "[::1]:5000")], Ok(())),
            (vec![("host", "a b")], Err(Host)),
            (vec![("host", "a/b")], Err(Host)),
            (vec![("host", "a, b")], Err(Host)),
            (vec![("host", "a,b")], Err(Host)),
            (vec![("host", "user@a")], Err(Host)),
            (
                vec![host, ("content-length", "5"), ("content-length", "5")],
                Err(Lengths),
            ),
            (vec![host, ("content-length", "5, 5")], Err(Length)),
            (vec![host, ("content-length", "+5")], Err(Length)),
            (vec![host, ("content-length", "")], Err(Length)),
            (
                vec![
                    host,
                    ("transfer-encoding", "chunked"),
                    ("content-length", "5"),
                ],
                Err(LengthAndEncoding),
            ),
            (
                vec![host, ("transfer-encoding", "gzip, chunked")],
                Err(Encoding),
            ),
            (vec![host, ("transfer-encoding", "xchunked")], Err(Encoding)),
            (
                vec![
                    host,
                    ("transfer-encoding", "chunked"),
                    ("transfer-encoding", "chunked"),
                ],
                Err(Encoding),
            ),
        ] {
            assert_eq!(verdict(Version::HTTP_11, &lines), expected, "{lines:?}");
        }
        assert_eq!(verdict(Version::HTTP_10, &[]), Ok(()));
        assert_eq!(verdict(Version::HTTP_2, &[]), Ok(()));
    }
}
