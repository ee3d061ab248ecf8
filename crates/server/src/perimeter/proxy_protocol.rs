//! The PROXY protocol, versions 1 and 2 (haproxy's `proxy-protocol.txt`): before everything else, a
//! proxy of connections says where one comes from.
//!
//! A header that is malformed anywhere ends the connection: where the bytes of the client begin
//! would be a guess.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Where the header says that the connection comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// From the proxy itself.
    Local,
    /// From somewhere that has no address of the internet, or is not told.
    Unknown,
    /// From here.
    Address(SocketAddr),
}

/// Why a header is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection does not begin with a valid PROXY header")]
pub(crate) struct Malformed;

impl From<Malformed> for io::Error {
    fn from(malformed: Malformed) -> Self {
        Self::new(io::ErrorKind::InvalidData, malformed)
    }
}

/// How a header of version 2 begins, and bytes that both versions have at least.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Bytes of a header of version 1 at most, with its line break.
const LINE_MAX: usize = 107;
/// Bytes before the addresses of version 2.
const FIXED: usize = 16;
/// Bytes of addresses and extensions that are taken: far more than any proxy sends.
const REST_MAX: usize = 4 << 10;

/// Reads the header and not a byte more.
///
/// # Errors
/// Those of the stream, and [`io::ErrorKind::InvalidData`].
pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Source> {
    let mut start = [0; SIGNATURE.len()];
    stream.read_exact(&mut start).await?;
    if start != SIGNATURE {
        let line = read_line(stream, &start).await?;
        return Ok(version_1(&line)?);
    }
    let mut fixed = [0; FIXED - SIGNATURE.len()];
    stream.read_exact(&mut fixed).await?;
    let [command, family, high, low] = fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > REST_MAX {
        return Err(Malformed.into());
    }
    let mut rest = vec![0; length];
    stream.read_exact(&mut rest).await?;
    Ok(version_2(command, family, &rest)?)
}

/// The line without its break. Byte by byte: what follows is not ours to read, and some forty bytes
/// are read once in the life of a connection.
async fn read_line(stream: &mut (impl AsyncRead + Unpin), start: &[u8]) -> io::Result<Vec<u8>> {
    if !start.starts_with(b"PROXY ") {
        return Err(Malformed.into());
    }
    let mut line = start.to_vec();
    while !line.ends_with(b"\r\n") {
        if line.len() == LINE_MAX {
            return Err(Malformed.into());
        }
        line.push(stream.read_u8().await?);
    }
    line.truncate(line.len() - 2);
    Ok(line)
}

/// A header of version 1, without its line break.
pub(crate) fn version_1(line: &[u8]) -> Result<Source, Malformed> {
    let text = std::str::from_utf8(line).map_err(|_| Malformed)?;
    if text.contains(['\r', '\n']) {
        return Err(Malformed);
    }
    let words: Vec<&str> = text.split(' ').collect();
    match words.as_slice() {
        // Whatever follows is to be ignored.
        ["PROXY", "UNKNOWN", ..] => Ok(Source::Unknown),
        [
            "PROXY",
            "TCP4",
            source,
            destination,
            source_port,
            destination_port,
        ] => {
            let parse = |text: &str| text.parse::<Ipv4Addr>().map_err(|_| Malformed);
            let (source, _) = (parse(source)?, parse(destination)?);
            let (port, _) = (port(source_port)?, port(destination_port)?);
            Ok(Source::Address((source, port).into()))
        }
        [
            "PROXY",
            "TCP6",
            source,
            destination,
            source_port,
            destination_port,
        ] => {
            let parse = |text: &str| text.parse::<Ipv6Addr>().map_err(|_| Malformed);
            let (source, _) = (parse(source)?, parse(destination)?);
            let (port, _) = (port(source_port)?, port(destination_port)?);
            Ok(Source::Address((source, port).into()))
        }
        _ => Err(Malformed),
    }
}

fn port(text: &str) -> Result<u16, Malformed> {
    let padded = text.len() > 1 && text.starts_with('0');
    if padded || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Malformed);
    }
    text.parse().map_err(|_| Malformed)
}

/// A header of version 2: what follows its signature, and its addresses and extensions.
pub(crate) fn version_2(command: u8, family: u8, rest: &[u8]) -> Result<Source, Malformed> {
    let address =
        |ip: IpAddr, port: [u8; 2]| Source::Address((ip, u16::from_be_bytes(port)).into());
    let local = match command {
        0x20 => true,
        0x21 => false,
        _ => return Err(Malformed),
    };
    let (source, extensions) = match family {
        // Of a proxy's own connection the addresses are not looked at, whatever they are.
        _ if local => return Ok(Source::Local),
        // Unspecified: there may be anything.
        0x00 => return Ok(Source::Unknown),
        0x11 => {
            let (addresses, rest) = rest.split_first_chunk::<12>().ok_or(Malformed)?;
            let [a, b, c, d, _, _, _, _, high, low, _, _] = *addresses;
            (address([a, b, c, d].into(), [high, low]), rest)
        }
        0x21 => {
            let (source, rest) = rest.split_first_chunk::<16>().ok_or(Malformed)?;
            let (_destination, rest) = rest.split_first_chunk::<16>().ok_or(Malformed)?;
            let ([high, low, _, _], rest) = rest.split_first_chunk::<4>().ok_or(Malformed)?;
            (address((*source).into(), [*high, *low]), rest)
        }
        // Paths of unix sockets.
        0x31 => (Source::Unknown, rest.get(216..).ok_or(Malformed)?),
        // Datagrams do not come over connections, and there are no other families.
        _ => return Err(Malformed),
    };
    check_extensions(extensions)?;
    Ok(source)
}

/// Each is a kind, a length of two bytes, and so many bytes. None of them is needed.
fn check_extensions(mut rest: &[u8]) -> Result<(), Malformed> {
    while let Some(([_kind, high, low], after)) = rest.split_first_chunk::<3>() {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        rest = after.get(length..).ok_or(Malformed)?;
    }
    if rest.is_empty() {
        Ok(())
    } else {
        Err(Malformed)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is read of these bytes, and what is left of them.
    async fn outcome(mut bytes: &[u8]) -> (Result<Source, io::ErrorKind>, &[u8]) {
        let source = read(&mut bytes).await.map_err(|error| error.kind());
        (source, bytes)
    }

    fn from(text: &str) -> Source {
        Source::Address(text.parse().unwrap())
    }

    #[tokio::test]
    async fn lines_of_version_1_are_read() {
        for (line, expected) in [
            (
                "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443",
                Ok(from("192.0.2.1:56324")),
            ),
            (
                "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535",
                Ok(from("255.255.255.255:65535")),
            ),
            (
                "PROXY TCP6 2001:db8::1 ::1 1 2",
                Ok(from("[2001:db8::1]:1")),
            ),
            ("PROXY UNKNOWN", Ok(Source::Unknown)),
            ("PROXY UNKNOWN whatever there is", Ok(Source::Unknown)),
            ("PROXY TCP4 192.0.2.1 192.0.2.2 56324", Err(Malformed)),
            ("PROXY TCP4 192.0.2.1 192.0.2.2 56324 443 1", Err(Malformed)),
            ("PROXY TCP4  192.0.2.1 192.0.2.2 56324 443", Err(Malformed)),
            ("PROXY TCP4 192.0.2.1 192.0.2.2 65536 443", Err(Malformed)),
            ("PROXY TCP4 192.0.2.1 192.0.2.2 080 443", Err(Malformed)),
            ("PROXY TCP4 192.0.2.1 192.0.2.2 +80 443", Err(Malformed)),
            ("PROXY TCP4 192.0.2.01 192.0.2.2 80 443", Err(Malformed)),
            ("PROXY TCP4 2001:db8::1 ::1 1 2", Err(Malformed)),
            ("PROXY TCP6 192.0.2.1 192.0.2.2 1 2", Err(Malformed)),
            ("PROXY TCP5 192.0.2.1 192.0.2.2 1 2", Err(Malformed)),
            ("PROXY UDP4 192.0.2.1 192.0.2.2 1 2", Err(Malformed)),
            ("PROXY unknown", Err(Malformed)),
            ("proxy UNKNOWN", Err(Malformed)),
            ("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\nGET /", Err(Malformed)),
            ("GET /v2/ HTTP/1.1", Err(Malformed)),
        ] {
            assert_eq!(version_1(line.as_bytes()), expected, "{line}");
            let bytes = format!("{line}\r\nGET / HTTP/1.1\r\n");
            let (read, left) = outcome(bytes.as_bytes()).await;
            assert_eq!(
                read,
                expected.map_err(|_| io::ErrorKind::InvalidData),
                "{line}"
            );
            if read.is_ok() {
                assert_eq!(left, b"GET / HTTP/1.1\r\n", "{line}");
            }
        }
    }

    #[tokio::test]
    async fn a_header_is_bounded_and_whole() {
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(LINE_MAX - 16));
        assert_eq!(long.len(), LINE_MAX);
        assert_eq!(outcome(long.as_bytes()).await.0, Ok(Source::Unknown));
        let longer = format!("PROXY UNKNOWN {}\r\n", "x".repeat(LINE_MAX - 15));
        assert_eq!(
            outcome(longer.as_bytes()).await.0,
            Err(io::ErrorKind::InvalidData)
        );
        let endless = "PROXY UNKNOWN".repeat(1_000);
        let (read, left) = outcome(endless.as_bytes()).await;
        assert_eq!(read, Err(io::ErrorKind::InvalidData));
        assert_eq!(endless.len() - left.len(), LINE_MAX);
        for part in ["", "PROXY", "PROXY UNKNOWN\r", "\r\n\r\n\0\r\nQUIT\n\x21"] {
            let (read, _) = outcome(part.as_bytes()).await;
            assert_eq!(read, Err(io::ErrorKind::UnexpectedEof), "{part:?}");
        }
    }

    /// A header of version 2 and what follows.
    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, rest, b"GET"].concat()
    }

    #[tokio::test]
    async fn headers_of_version_2_are_read() {
        let four = [192, 0, 2, 1, 192, 0, 2, 2, 0x12, 0x34, 1, 187];
        let mut six = [0; 36];
        six[15] = 1;
        six[33] = 80;
        let extended = [&four[..], &[4, 0, 3, 0, 0, 0, 0x20, 0, 0]].concat();
        let (cut, open) = (
            [&four[..], &[4, 0]].concat(),
            [&four[..], &[4, 0, 2, 0]].concat(),
        );
        let full = [&four[..], &[4, 0x0f, 0xf1], &[0; 4081]].concat();
        let beyond = [&four[..], &[4, 0x0f, 0xf2], &[0; 4082]].concat();
        for (command, family, rest, expected) in [
            (0x21, 0x11, &four[..], Ok(from("192.0.2.1:4660"))),
            (0x21, 0x11, &extended, Ok(from("192.0.2.1:4660"))),
            (0x21, 0x11, &full, Ok(from("192.0.2.1:4660"))),
            (0x21, 0x21, &six, Ok(from("[::1]:80"))),
            (0x21, 0x31, &[0; 216], Ok(Source::Unknown)),
            (0x21, 0x00, b"anything", Ok(Source::Unknown)),
            (0x20, 0x00, b"", Ok(Source::Local)),
            (0x20, 0x11, &four, Ok(Source::Local)),
            (0x20, 0xff, b"?", Ok(Source::Local)),
            (0x21, 0x11, &four[..11], Err(Malformed)),
            (0x21, 0x21, &six[..35], Err(Malformed)),
            (0x21, 0x31, &[0; 215], Err(Malformed)),
            (0x21, 0x11, &cut, Err(Malformed)),
            (0x21, 0x11, &open, Err(Malformed)),
            (0x21, 0x11, &beyond, Err(Malformed)),
            (0x21, 0x12, &four, Err(Malformed)),
            (0x21, 0x41, &four, Err(Malformed)),
            (0x22, 0x11, &four, Err(Malformed)),
            (0x11, 0x11, &four, Err(Malformed)),
            (0x31, 0x11, &four, Err(Malformed)),
        ] {
            let bytes = header(command, family, rest);
            let (read, left) = outcome(&bytes).await;
            let what = format!("{command:x} {family:x} {}", rest.len());
            assert_eq!(
                read,
                expected.map_err(|_| io::ErrorKind::InvalidData),
                "{what}"
            );
            if read.is_ok() {
                assert_eq!(left, b"GET", "{what}");
            }
        }
    }

    proptest! {
        #[test]
        fn addresses_come_through(bits: u128, port: u16, six: bool) {
            let [a, b, c, d, ..] = bits.to_be_bytes();
            let (ip, kind) = if six {
                (IpAddr::from(bits.to_be_bytes()), "TCP6")
            } else {
                (IpAddr::from([a, b, c, d]), "TCP4")
            };
            let line = format!("PROXY {kind} {ip} {ip} {port} {port}");
            prop_assert_eq!(version_1(line.as_bytes()), Ok(Source::Address((ip, port).into())));
        }

        #[test]
        fn no_bytes_make_it_panic(
            line in prop::collection::vec(any::<u8>(), 0..120),
            command in 0x1f_u8..0x23,
            family: u8,
            rest in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let _ = version_1(&line);
            let _ = version_1(&[b"PROXY TCP4 ", &line[..]].concat());
            let _ = version_2(command, family, &rest);
        }
    }
}
