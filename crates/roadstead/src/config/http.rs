//! `http`: where Roadstead listens, how it is seen from outside, TLS, and the debug listener.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use ::http::{HeaderName, HeaderValue, Uri};

use super::cursor::Cursor;
use super::limits::{self, Limits};
use super::proxies::{self, Proxies};
use super::rate_limits::{self, RateLimits};
use super::secret::Secret;
use super::tls::{self, Tls};

/// The `http` section.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Http {
    /// Where requests are taken. Default in a file: port 5000 on all interfaces.
    pub(crate) listen: Listen,
    /// The address that clients see, for absolute Location headers: scheme, host and perhaps a
    /// path. Default: none, and Location is path-absolute.
    pub(crate) host: Option<String>,
    /// The path that everything hangs below; begins and ends with `/`. Default: `/`.
    pub(crate) prefix: String,
    /// Location headers without scheme and host even if `host` is set. Default: false.
    pub(crate) relative_urls: bool,
    /// Headers added to every answer of a known route.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// How long requests in flight may take after a signal to stop. Default: 10 s.
    pub(crate) drain_timeout: Duration,
    /// Accepted for `distribution`'s sake; no use is made of it.
    pub(crate) secret: Option<Secret>,
    /// How TLS is spoken; `None` serves cleartext.
    pub(crate) tls: Option<Tls>,
    /// Whether HTTP/2 is offered over TLS. Default: true.
    pub(crate) http2: bool,
    /// Whether HTTP/2 is taken in cleartext, by prior knowledge. Default: false.
    pub(crate) h2c: bool,
    /// Where `/debug/health` answers; `None` for nowhere.
    pub(crate) debug: Option<Listen>,
    /// Bounds and time budgets of connections and requests.
    pub(crate) limits: Limits,
    /// Whose word on a client counts.
    pub(crate) proxies: Proxies,
    /// How often anybody may ask.
    pub(crate) rate_limits: RateLimits,
}

/// A place to listen at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Listen {
    /// A TCP port of one host, or of all interfaces where there is no host.
    Tcp {
        /// A name or an address without brackets.
        host: Option<String>,
        /// 0 lets the system choose.
        port: u16,
    },
    /// A unix socket.
    Unix(PathBuf),
}

const DEFAULT_ADDRESS: &str = ":5000";
const DEFAULT_DRAIN: Duration = Duration::from_secs(10);

impl Listen {
    /// Reads `host:port`, `[address]:port` or `:port`.
    pub(crate) fn parse_tcp(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse().ok()?;
        let host = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']')?,
            None if host.contains(':') => return None,
            None => host,
        };
        let host = (!host.is_empty()).then(|| host.to_owned());
        Some(Self::Tcp { host, port })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host: None, port } => write!(f, ":{port}"),
            Self::Tcp {
                host: Some(host),
                port,
            } if host.contains(':') => {
                write!(f, "[{host}]:{port}")
            }
            Self::Tcp {
                host: Some(host),
                port,
            } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

pub(crate) fn read(root: &Cursor<'_>) -> Http {
    let http = root.section("http");
    Http {
        listen: listen(&http),
        host: host(&http),
        prefix: prefix(&http),
        relative_urls: http.flag("relativeurls", false),
        headers: headers(&http),
        drain_timeout: drain_timeout(&http),
        secret: http.secret("secret"),
        tls: tls::read(&http.section("tls")),
        http2: !http.section("http2").flag("disabled", false),
        h2c: http.section("h2c").flag("enabled", false),
        debug: debug(&http.section("debug")),
        limits: limits::read(&http.section("limits")),
        proxies: proxies::read(&http.section("proxies")),
        rate_limits: rate_limits::read(&http.section("ratelimits")),
    }
}

fn listen(http: &Cursor<'_>) -> Listen {
    let address = http.text("addr");
    match http.text("net").as_deref() {
        Some("unix") => {
            if address.is_none() {
                http.refuse("addr", "a unix socket needs its path here");
            }
            Listen::Unix(PathBuf::from(address.unwrap_or_default()))
        }
        None | Some("tcp") => {
            if address.is_none() {
                http.report()
                    .note(&format!("http.addr is not set: {DEFAULT_ADDRESS} is used"));
            }
            tcp(http, address.as_deref().unwrap_or(DEFAULT_ADDRESS))
        }
        Some(other) => {
            http.refuse("net", &format!("expected tcp or unix, found {other:?}"));
            Listen::Tcp {
                host: None,
                port: 0,
            }
        }
    }
}

fn tcp(section: &Cursor<'_>, address: &str) -> Listen {
    Listen::parse_tcp(address).unwrap_or_else(|| {
        let message = format!("expected host:port, [address]:port or :port, found {address:?}");
        section.refuse("addr", &message);
        Listen::Tcp {
            host: None,
            port: 0,
        }
    })
}

fn debug(section: &Cursor<'_>) -> Option<Listen> {
    section.text("addr").map(|address| tcp(section, &address))
}

fn host(http: &Cursor<'_>) -> Option<String> {
    let text = http.text("host")?;
    let fits = text.parse::<Uri>().is_ok_and(|uri| {
        let scheme = matches!(uri.scheme_str(), Some("http" | "https"));
        scheme && uri.host().is_some_and(|host| !host.is_empty()) && uri.query().is_none()
    });
    if !fits {
        let message = format!("expected an address such as https://host:port, found {text:?}");
        http.refuse("host", &message);
        return None;
    }
    Some(text.trim_end_matches('/').to_owned())
}

fn prefix(http: &Cursor<'_>) -> String {
    let Some(text) = http.text("prefix") else {
        return "/".to_owned();
    };
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '?' | '#' | '%' | '\\' | ';');
    let segments = text.trim_matches('/');
    let walks = segments
        .split('/')
        .any(|segment| matches!(segment, "." | ".."));
    let doubled = segments.contains("//");
    if !text.starts_with('/') || !text.chars().all(plain) || walks || doubled {
        http.refuse(
            "prefix",
            &format!("expected a path such as /registry/, found {text:?}"),
        );
        return "/".to_owned();
    }
    if segments.is_empty() {
        "/".to_owned()
    } else {
        format!("/{segments}/")
    }
}

fn headers(http: &Cursor<'_>) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = Vec::new();
    for (name, origin, values) in http.headers("headers") {
        let Ok(header) = name.parse::<HeaderName>() else {
            let message = format!("http.headers: {name:?} is no header name");
            http.report().refuse(&origin, &message);
            continue;
        };
        for value in values {
            match HeaderValue::from_str(&value.text) {
                Ok(value) => headers.push((header.clone(), value)),
                Err(_) => {
                    let message = format!("http.headers.{name}: no header can have this value");
                    http.report().refuse(&value.origin, &message);
                }
            }
        }
    }
    headers
}

/// Zero is `distribution`'s "not set".
fn drain_timeout(http: &Cursor<'_>) -> Duration {
    let timeout = http.duration("draintimeout", DEFAULT_DRAIN);
    if timeout.is_zero() {
        DEFAULT_DRAIN
    } else {
        timeout
    }
}
