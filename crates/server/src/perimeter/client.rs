//! Where a request comes from: what the connection says, and beyond it the proxies that are trusted.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderMap;
use roadstead_auth::Network;
use tokio::io::AsyncRead;

use super::forwarded::{self, Hop, Scheme};
use super::proxy_protocol::{self, Source};

/// Whose word on a client counts (`http.proxies`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// Peers that are proxies.
    pub trusted: Vec<Network>,
    /// Whether whoever connects to a unix socket is one.
    pub unix: bool,
    /// Whether connections begin with a PROXY header, and come from trusted peers alone.
    pub protocol: bool,
}

impl Proxies {
    /// Whether this peer (`None`: of a unix socket) is a trusted proxy.
    pub(crate) fn trusts(&self, peer: Option<IpAddr>) -> bool {
        match peer {
            None => self.unix,
            Some(peer) => self.contains(peer),
        }
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }
}

/// Who connected.
#[derive(Debug)]
pub(crate) struct PeerAddress {
    /// For logs.
    pub(crate) name: Arc<str>,
    /// `None` for a unix socket.
    pub(crate) ip: Option<IpAddr>,
}

/// Where a request comes from.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    /// `None`: over a unix socket, or from somewhere that a trusted proxy does not name in a way
    /// that can be understood. Such a client is in no network, and no rule may count on that.
    pub(crate) ip: Option<IpAddr>,
    /// For logs: with its port where it connected itself; `unix` or `unknown` without an address.
    pub(crate) text: Arc<str>,
    /// Whether the client speaks TLS, with the registry or with a proxy that says so.
    pub(crate) secure: bool,
    /// Scheme and host as a trusted proxy has them, for URLs where none is configured.
    pub(crate) base: Option<Box<str>>,
}

/// A connection before its first request.
pub(crate) struct Arrived {
    pub(crate) client: Arc<Client>,
    /// For the headers of requests, where those count: the peer is a trusted proxy.
    pub(crate) proxies: Option<Arc<Proxies>>,
}

impl Arrived {
    /// Finds out where a connection comes from; reads its PROXY header where it has one.
    ///
    /// # Errors
    /// Those of the stream; [`io::ErrorKind::PermissionDenied`] for a peer that may not connect,
    /// [`io::ErrorKind::InvalidData`] for what is no PROXY header.
    pub(crate) async fn from(
        peer: PeerAddress,
        proxies: Arc<Proxies>,
        stream: &mut (impl AsyncRead + Unpin),
    ) -> io::Result<Self> {
        let trusted = proxies.trusts(peer.ip);
        let mut client = Client {
            ip: peer.ip,
            text: peer.name,
            secure: false,
            base: None,
        };
        if !proxies.protocol {
            return Ok(Self {
                client: Arc::new(client),
                proxies: trusted.then_some(proxies),
            });
        }
        if !trusted {
            let message = "the peer is not in http.proxies.trusted, and only those may connect";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
        }
        let mut behind = false;
        match proxy_protocol::read(stream).await? {
            // The proxy's own connection, to look whether the registry is there.
            Source::Local => {}
            Source::Unknown => {
                client.ip = None;
                client.text = UNKNOWN.into();
            }
            Source::Address(address) => {
                let ip = address.ip().to_canonical();
                client.ip = Some(ip);
                client.text = address.to_string().into();
                // It may be a proxy of HTTP itself.
                behind = proxies.contains(ip);
            }
        }
        Ok(Self {
            client: Arc::new(client),
            proxies: behind.then_some(proxies),
        })
    }

    /// The connection is encrypted.
    pub(crate) fn secured(self) -> Self {
        let mut client = Arc::unwrap_or_clone(self.client);
        client.secure = true;
        Self {
            client: Arc::new(client),
            ..self
        }
    }

    /// Where a request with these headers comes from.
    pub(crate) fn client(&self, headers: &HeaderMap) -> Arc<Client> {
        let Some(proxies) = &self.proxies else {
            return Arc::clone(&self.client);
        };
        let said = forwarded::read(headers, |address| proxies.contains(address));
        let mut client = Client::clone(&self.client);
        match said.client {
            Hop::NotSaid => {}
            Hop::Unknown => {
                client.ip = None;
                client.text = UNKNOWN.into();
            }
            Hop::Address(ip) => {
                client.ip = Some(ip);
                client.text = ip.to_string().into();
            }
        }
        let scheme = match said.scheme {
            None if client.secure => Some(Scheme::Https),
            scheme => scheme,
        };
        client.secure = scheme == Some(Scheme::Https);
        client.base = scheme.zip(said.host).map(|(scheme, host)| {
            let base = format!("{}://{host}", scheme.as_str());
            base.into_boxed_str()
        });
        Arc::new(client)
    }
}

const UNKNOWN: &str = "unknown";

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn peer(text: &str) -> PeerAddress {
        PeerAddress {
            name: format!("{text}:1234").into(),
            ip: text.parse().ok(),
        }
    }

    fn proxies(protocol: bool) -> Arc<Proxies> {
        Arc::new(Proxies {
            trusted: vec!["10.0.0.0/8".parse().unwrap()],
            unix: false,
            protocol,
        })
    }

    async fn arrive(
        peer: PeerAddress,
        proxies: Arc<Proxies>,
        mut bytes: &[u8],
    ) -> io::Result<Arrived> {
        Arrived::from(peer, proxies, &mut bytes).await
    }

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[tokio::test]
    async fn headers_count_from_trusted_peers_alone() {
        let lines = headers(&[
            ("x-forwarded-for", "192.0.2.7"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "r.example:5000"),
        ]);
        for (from, text, secure, base) in [
            ("192.0.2.1", "192.0.2.1:1234", false, None),
            ("unix", "unix:1234", false, None),
            (
                "10.1.1.1",
                "192.0.2.7",
                true,
                Some("https://r.example:5000"),
            ),
        ] {
            let arrived = arrive(peer(from), proxies(false), b"");
            let client = arrived.await.unwrap().client(&lines);
            assert_eq!((&*client.text, client.secure), (text, secure));
            assert_eq!(client.base.as_deref(), base);
        }
    }

    #[tokio::test]
    async fn a_unix_socket_is_trusted_where_it_is_listed() {
        let trusting = Arc::new(Proxies {
            unix: true,
            ..Proxies::default()
        });
        let arrived = arrive(peer("unix"), trusting, b"");
        let client = arrived.await.unwrap();
        let client = client.client(&headers(&[("x-forwarded-for", "::ffff:192.0.2.7")]));
        assert_eq!(client.ip, Some([192, 0, 2, 7].into()));
    }

    #[tokio::test]
    async fn the_proxy_protocol_tells_the_peer() {
        let header = b"PROXY TCP4 192.0.2.7 192.0.2.8 5555 443\r\n";
        let refused = arrive(peer("192.0.2.1"), proxies(true), header).await;
        let refused = refused.err().unwrap();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        let get = b"GET /v2/ HTTP/1.1\r\n\r\n";
        let refused = arrive(peer("10.1.1.1"), proxies(true), get).await;
        assert_eq!(refused.err().unwrap().kind(), io::ErrorKind::InvalidData);

        // Whoever is behind the proxy is not trusted for that.
        let lines = headers(&[("x-forwarded-for", "192.0.2.99")]);
        for (header, text) in [
            (&header[..], "192.0.2.7:5555"),
            (b"PROXY UNKNOWN\r\n", "unknown"),
            (b"PROXY TCP4 10.9.9.9 192.0.2.8 5555 443\r\n", "192.0.2.99"),
            (b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", "10.1.1.1:1234"),
        ] {
            let arrived = arrive(peer("10.1.1.1"), proxies(true), header);
            let client = arrived.await.unwrap().client(&lines);
            assert_eq!(&*client.text, text);
        }
    }

    #[tokio::test]
    async fn tls_with_the_registry_is_tls() {
        for (lines, secure, base) in [
            (vec![("x-forwarded-host", "a")], true, Some("https://a")),
            (
                vec![("x-forwarded-host", "a"), ("x-forwarded-proto", "http")],
                false,
                Some("http://a"),
            ),
        ] {
            let arrived = arrive(peer("10.1.1.1"), proxies(false), b"");
            let client = arrived.await.unwrap().secured().client(&headers(&lines));
            assert_eq!((client.secure, client.base.as_deref()), (secure, base));
        }
    }
}
