//! Addresses that documents may be fetched from.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::ops::Deref;
use std::str::FromStr;

use http::Uri;

/// An `https` URL with a host, and nothing that means something else to somebody else.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpsUrl(HttpUrl);

/// As [`HttpsUrl`], or in plain HTTP, which reaches nothing but this machine.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpUrl {
    text: String,
    uri: Uri,
    is_https: bool,
    host: String,
    port: u16,
}

/// Why a text is no such URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    /// It is not a URL.
    #[error("it is not an absolute URL")]
    NotAUrl,
    /// It is longer than any address that is meant.
    #[error("it is longer than {MAX_BYTES} bytes")]
    TooLong,
    /// It is `http`, or something stranger.
    #[error("it does not begin with https://")]
    NotHttps,
    /// It is neither, where both are taken.
    #[error("it does not begin with https:// or http://")]
    NotHttp,
    /// It has a user, a password or a fragment.
    #[error("it has a user or a fragment")]
    Extra,
    /// The host has a zone, or none is there.
    #[error("its host cannot be used")]
    Host,
}

const MAX_BYTES: usize = 2048;

impl HttpsUrl {
    /// The URL as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0.text
    }
}

/// For whoever fetches, which address it is matters, and not what it may be.
impl Deref for HttpsUrl {
    type Target = HttpUrl;

    fn deref(&self) -> &HttpUrl {
        &self.0
    }
}

impl HttpUrl {
    /// Whether it is a URL for TLS.
    pub(crate) fn is_https(&self) -> bool {
        self.is_https
    }

    /// Whether both lead to the same server (RFC 6454 §5).
    pub(crate) fn is_same_origin(&self, other: &Self) -> bool {
        (self.is_https, &self.host, self.port) == (other.is_https, &other.host, other.port)
    }

    /// The host in lower case, an address without brackets.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The host as an address, if it is one.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Host and port as the Host header has them.
    pub(crate) fn authority(&self) -> &str {
        self.uri
            .authority()
            .map_or("", http::uri::Authority::as_str)
    }

    /// What the request line asks for.
    pub(crate) fn path_and_query(&self) -> &str {
        match self
            .uri
            .path_and_query()
            .map(http::uri::PathAndQuery::as_str)
        {
            Some("") | None => "/",
            Some(path) => path,
        }
    }
}

impl FromStr for HttpsUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        match text.parse() {
            Ok(url @ HttpUrl { is_https: true, .. }) => Ok(Self(url)),
            Ok(_) | Err(InvalidUrl::NotHttp) => Err(InvalidUrl::NotHttps),
            Err(error) => Err(error),
        }
    }
}

impl FromStr for HttpUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        if text.len() > MAX_BYTES {
            return Err(InvalidUrl::TooLong);
        }
        if text.contains(['#', '@']) {
            return Err(InvalidUrl::Extra);
        }
        let uri: Uri = text.parse().map_err(|_| InvalidUrl::NotAUrl)?;
        let is_https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            Some(_) => return Err(InvalidUrl::NotHttp),
            None => return Err(InvalidUrl::NotAUrl),
        };
        let authority = uri.authority().ok_or(InvalidUrl::Host)?;
        let host = authority.host().to_ascii_lowercase();
        let host = match host.strip_prefix('[') {
            // A zone is no part of what is parsed here.
            Some(inside) => {
                let inside = inside.strip_suffix(']').ok_or(InvalidUrl::Host)?;
                let address: Ipv6Addr = inside.parse().map_err(|_| InvalidUrl::Host)?;
                address.to_string()
            }
            None => host,
        };
        if host.is_empty() || host.contains('%') {
            return Err(InvalidUrl::Host);
        }
        let rest = authority.as_str().len() - authority.host().len();
        let port = match authority.port_u16() {
            Some(0) => return Err(InvalidUrl::Host),
            Some(port) => port,
            // A colon and no number.
            None if rest > 0 => return Err(InvalidUrl::Host),
            None if is_https => 443,
            None => 80,
        };
        Ok(Self {
            text: text.to_owned(),
            uri,
            is_https,
            host,
            port,
        })
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl fmt::Display for HttpsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for HttpsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        for (text, host, port, path) in [
            ("https://idp.example", "idp.example", 443, "/"),
            (
                "https://IdP.Example:8443/a?b=c",
                "idp.example",
                8443,
                "/a?b=c",
            ),
            ("https://[::1]:1/", "::1", 1, "/"),
            ("https://[::FFFF:127.0.0.1]/", "::ffff:127.0.0.1", 443, "/"),
            ("https://0x7f.1/", "0x7f.1", 443, "/"),
            ("HTTPS://a/", "a", 443, "/"),
        ] {
            let url: HttpsUrl = text.parse().unwrap();
            assert_eq!(
                (url.host(), url.port(), url.path_and_query()),
                (host, port, path)
            );
            assert_eq!(url.to_string(), text);
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let long = format!("https://a/{}", "a".repeat(MAX_BYTES));
        for (text, expected) in [
            ("", InvalidUrl::NotAUrl),
            ("/a", InvalidUrl::NotAUrl),
            ("a.example", InvalidUrl::NotAUrl),
            ("http://a/", InvalidUrl::NotHttps),
            ("file:///etc/passwd", InvalidUrl::NotAUrl),
            ("ftp://a/", InvalidUrl::NotHttps),
            ("https://", InvalidUrl::NotAUrl),
            ("https://a@b/", InvalidUrl::Extra),
            ("https://a:b@c/", InvalidUrl::Extra),
            ("https://a/#b", InvalidUrl::Extra),
            ("https://a:/", InvalidUrl::Host),
            ("https://a:0/", InvalidUrl::Host),
            ("https://a:65536/", InvalidUrl::Host),
            ("https://a b/", InvalidUrl::NotAUrl),
            ("https://a/\r\nX: y", InvalidUrl::NotAUrl),
            (&long, InvalidUrl::TooLong),
        ] {
            assert_eq!(text.parse::<HttpsUrl>().unwrap_err(), expected, "{text:?}");
        }
        for zone in [
            "https://[fe80::1%eth0]/",
            "https://[fe80::1%25eth0]/",
            "https://a%2e/",
        ] {
            assert!(zone.parse::<HttpsUrl>().is_err(), "{zone}");
        }
    }

    #[test]
    fn servers_are_told_apart_by_scheme_host_and_port() {
        let url = |text: &str| text.parse::<HttpUrl>().unwrap();
        let base = url("https://r.example/v2/");
        for (text, expected) in [
            ("https://r.example/auth/token?a=b", true),
            ("https://R.EXAMPLE:443/", true),
            ("http://r.example/", false),
            ("http://r.example:443/", false),
            ("https://r.example:5000/", false),
            ("https://r.example.evil/", false),
            ("https://evil/", false),
        ] {
            assert_eq!(base.is_same_origin(&url(text)), expected, "{text}");
        }
        assert_eq!(url("http://r.example/").port(), 80);
        assert_eq!("ftp://a/".parse::<HttpUrl>(), Err(InvalidUrl::NotHttp));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,60}", more in "[a-z0-9:@%.\\[\\]/#?-]{0,40}") {
            for text in [text, format!("https://{more}")] {
                if let Ok(url) = text.parse::<HttpsUrl>() {
                    prop_assert!(!url.host().is_empty() && url.port() > 0);
                    prop_assert!(url.path_and_query().starts_with(['/', '?']));
                }
            }
        }
    }
}
