//! What trusted proxies say of a request: `Forwarded` (RFC 7239), `X-Forwarded-For`,
//! `X-Forwarded-Proto` and `X-Forwarded-Host`.
//!
//! Proxies add to the right of a list, clients write what they like to the left. So the address of
//! the client is looked for from the right, past the proxies that are trusted, and nothing to the
//! left of the first one that is not is looked at. Scheme and host are one value or none.
//!
//! A proxy that sets one kind of header hands on what a client has sent of the other. Where both
//! are there and say different things, neither counts: a client can hide that way, but not appear
//! to be another.

use std::net::{IpAddr, Ipv6Addr};

use http::header::FORWARDED;
use http::{HeaderMap, HeaderName};
use roadstead_auth::{is_token, parameter_value};

/// What is said of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) client: Hop,
    pub(crate) scheme: Option<Scheme>,
    /// A name or address with perhaps a port, as in a URL.
    pub(crate) host: Option<String>,
}

/// What is said of the client's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hop {
    /// Nothing: the proxy may itself be the client.
    NotSaid,
    /// Nothing that can be understood, or that it is not known.
    Unknown,
    /// It is this one; an IPv4 address is never written as an IPv6 one.
    Address(IpAddr),
}

/// What a client speaks to the outermost trusted proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        if text.eq_ignore_ascii_case("https") {
            return Some(Self::Https);
        }
        text.eq_ignore_ascii_case("http").then_some(Self::Http)
    }
}

const X_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Bytes of a host at most: a name of DNS and a port.
const HOST_BYTES_MAX: usize = 253 + 6;

/// Reads the headers of a request that a trusted proxy has sent.
pub(crate) fn read(headers: &HeaderMap, trusted: impl Fn(IpAddr) -> bool) -> Said {
    let standard = standard(headers, &trusted);
    let client = match (standard.client, listed(headers, &trusted)) {
        (Hop::NotSaid, other) | (other, Hop::NotSaid) => other,
        (one, other) if one == other => one,
        _ => Hop::Unknown,
    };
    let scheme = single(headers, &X_PROTO, Scheme::parse);
    let host = single(headers, &X_HOST, |text| {
        is_host(text).then(|| text.to_owned())
    });
    Said {
        client,
        scheme: agreed(standard.scheme, scheme),
        host: agreed(standard.host, host),
    }
}

/// What one kind of header says of a thing: nothing, nothing that counts, or a value.
type Stated<T> = Option<Option<T>>;

fn agreed<T: PartialEq>(one: Stated<T>, other: Stated<T>) -> Option<T> {
    match (one, other) {
        (None, stated) | (stated, None) => stated.flatten(),
        (Some(one), Some(other)) if one == other => one,
        (Some(_), Some(_)) => None,
    }
}

/// The value of a header that is there once.
fn single<T>(
    headers: &HeaderMap,
    name: &HeaderName,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Stated<T> {
    let mut lines = headers.get_all(name).iter();
    let line = lines.next()?;
    let single = lines.next().is_none();
    let text = line.to_str().ok().filter(|_| single);
    Some(text.map(trim).and_then(parse))
}

/// `X-Forwarded-For`: addresses, those of several lines one after the other.
fn listed(headers: &HeaderMap, trusted: &impl Fn(IpAddr) -> bool) -> Hop {
    let lines: Vec<_> = headers.get_all(X_FOR).iter().collect();
    let mut client = Hop::NotSaid;
    for line in lines.into_iter().rev() {
        // Bytes that are no text concern nobody but the element that they stand in.
        let elements = line.as_bytes().rsplit(|byte| *byte == b',');
        for element in elements {
            let element = std::str::from_utf8(element).ok();
            client = match element.and_then(|text| address(trim(text))) {
                Some(address) => Hop::Address(address),
                None => return Hop::Unknown,
            };
            if !matches!(client, Hop::Address(address) if trusted(address)) {
                return client;
            }
        }
    }
    client
}

/// What `Forwarded` says.
struct Standard {
    client: Hop,
    scheme: Stated<Scheme>,
    host: Stated<String>,
}

fn standard(headers: &HeaderMap, trusted: &impl Fn(IpAddr) -> bool) -> Standard {
    let lines: Vec<_> = headers.get_all(FORWARDED).iter().collect();
    if lines.is_empty() {
        return Standard {
            client: Hop::NotSaid,
            scheme: None,
            host: None,
        };
    }
    let mut elements = Vec::new();
    for line in lines {
        let parsed = line.to_str().ok().and_then(parse_elements);
        let Some(parsed) = parsed else {
            // A quote that a client left open takes in what a proxy has added.
            return Standard {
                client: Hop::Unknown,
                scheme: Some(None),
                host: Some(None),
            };
        };
        elements.extend(parsed);
    }
    let mut client = Hop::NotSaid;
    let mut outermost = Element::default();
    while let Some(element) = elements.pop() {
        let named = element.node.as_deref().map(node);
        outermost = element;
        match named {
            // A proxy that does not say whom it serves.
            None => {
                if client != Hop::NotSaid {
                    client = Hop::Unknown;
                }
                break;
            }
            Some(None) => {
                client = Hop::Unknown;
                break;
            }
            Some(Some(address)) => client = Hop::Address(address),
        }
        if !matches!(client, Hop::Address(address) if trusted(address)) {
            break;
        }
    }
    let host = outermost
        .host
        .map(|host| Some(host).filter(|host| is_host(host)));
    Standard {
        client,
        scheme: outermost.proto.map(|proto| Scheme::parse(&proto)),
        host,
    }
}

/// One element of `Forwarded`, as far as it matters.
#[derive(Default)]
struct Element {
    node: Option<String>,
    proto: Option<String>,
    host: Option<String>,
}

/// The elements of one line (RFC 7239 §4). `None` where it is malformed anywhere.
fn parse_elements(line: &str) -> Option<Vec<Element>> {
    let mut rest = line;
    let mut elements = Vec::new();
    let mut element = Element::default();
    loop {
        rest = rest.trim_start_matches([' ', '\t']);
        if !rest.is_empty() && !rest.starts_with([';', ',']) {
            let (name, after) = rest.split_once('=')?;
            if !is_token(name) {
                return None;
            }
            let (value, after) = parameter_value(after)?;
            rest = after.trim_start_matches([' ', '\t']);
            let known = if name.eq_ignore_ascii_case("for") {
                Some(&mut element.node)
            } else if name.eq_ignore_ascii_case("proto") {
                Some(&mut element.proto)
            } else if name.eq_ignore_ascii_case("host") {
                Some(&mut element.host)
            } else {
                None
            };
            if let Some(known) = known
                && known.replace(value).is_some()
            {
                return None;
            }
        }
        match rest.as_bytes().first() {
            None => {
                elements.push(element);
                return Some(elements);
            }
            Some(b';') => {}
            Some(b',') => elements.push(std::mem::take(&mut element)),
            Some(_) => return None,
        }
        rest = &rest[1..];
    }
}

/// The address of a node (RFC 7239 §6); names that are made up have none.
fn node(text: &str) -> Option<IpAddr> {
    let obfuscated = |port: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        port.len() > 1 && port.starts_with('_') && port.bytes().all(plain)
    };
    let (address, port) = if let Some(rest) = text.strip_prefix('[') {
        let (address, rest) = rest.split_once(']')?;
        let address = address.parse::<Ipv6Addr>().ok()?;
        let port = if rest.is_empty() {
            None
        } else {
            Some(rest.strip_prefix(':')?)
        };
        (IpAddr::V6(address), port)
    } else {
        let (address, port) = match text.split_once(':') {
            Some((address, port)) => (address, Some(port)),
            None => (text, None),
        };
        (IpAddr::V4(address.parse().ok()?), port)
    };
    let fits = port.is_none_or(|port| is_port(port) || obfuscated(port));
    fits.then(|| address.to_canonical())
}

/// An element of `X-Forwarded-For`: an address, some proxies add the port.
fn address(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    node(text)
}

/// A host that can stand in a URL: a name of letters, digits, dots, hyphens and underscores, or an
/// address, with a port from 1 to 65535 or none.
fn is_host(text: &str) -> bool {
    if text.len() > HOST_BYTES_MAX {
        return false;
    }
    let (name, port) = if let Some(rest) = text.strip_prefix('[') {
        let Some((address, rest)) = rest.split_once(']') else {
            return false;
        };
        if address.parse::<Ipv6Addr>().is_err() {
            return false;
        }
        match rest.strip_prefix(':') {
            Some(port) => (None, Some(port)),
            None if rest.is_empty() => return true,
            None => return false,
        }
    } else {
        match text.split_once(':') {
            Some((name, port)) => (Some(name), Some(port)),
            None => (Some(text), None),
        }
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let is_name = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_alphanumeric())
            && name.bytes().all(plain)
            && !name.contains("..")
    };
    name.is_none_or(is_name) && port.is_none_or(|port| port != "0" && is_port(port))
}

/// Digits of a port, none of them in vain.
fn is_port(text: &str) -> bool {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let padded = text.len() > 1 && text.starts_with('0');
    digits && !padded && text.parse::<u16>().is_ok()
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

#[cfg(test)]
mod tests;
