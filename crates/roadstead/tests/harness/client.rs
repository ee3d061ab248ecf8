//! One HTTP/1.1 exchange, exact to the byte: the target is sent as it is written, and the answer is
//! kept as it came.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use base64::Engine as _;
use serde_json::Value;
use socket2::{Domain, Socket, Type};

/// How long one read or write may wait for the server.
const PATIENCE: Duration = Duration::from_secs(60);

/// Every code that the registry may answer with, and its status; 507 is UNAVAILABLE too.
const CODES: [(&str, u16); 19] = [
    ("UNKNOWN", 500),
    ("UNSUPPORTED", 405),
    ("UNAUTHORIZED", 401),
    ("DENIED", 403),
    ("UNAVAILABLE", 503),
    ("TOOMANYREQUESTS", 429),
    ("DIGEST_INVALID", 400),
    ("SIZE_INVALID", 400),
    ("RANGE_INVALID", 416),
    ("NAME_INVALID", 400),
    ("TAG_INVALID", 400),
    ("NAME_UNKNOWN", 404),
    ("MANIFEST_UNKNOWN", 404),
    ("MANIFEST_INVALID", 400),
    ("MANIFEST_BLOB_UNKNOWN", 400),
    ("BLOB_UNKNOWN", 404),
    ("BLOB_UPLOAD_UNKNOWN", 404),
    ("BLOB_UPLOAD_INVALID", 404),
    ("PAGINATION_NUMBER_INVALID", 400),
];

/// A request that is being built.
pub(crate) struct Request {
    address: SocketAddr,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Option<Body>,
    source: Option<Ipv4Addr>,
}

enum Body {
    Sized(Vec<u8>),
    Chunked(Vec<Vec<u8>>),
    /// The same block again and again: (block, times).
    Repeated(Vec<u8>, usize),
}

impl Request {
    pub(crate) fn new(address: SocketAddr, method: &str, target: &str) -> Self {
        let (method, target) = (method.to_owned(), target.to_owned());
        Self {
            address,
            method,
            target,
            headers: Vec::new(),
            body: None,
            source: None,
        }
    }

    /// Sends it from another address of this machine: any that begins with 127.
    pub(crate) fn from(mut self, source: Ipv4Addr) -> Self {
        self.source = Some(source);
        self
    }

    pub(crate) fn header(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.headers
            .push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    pub(crate) fn basic(self, user: &str, password: &str) -> Self {
        let token = base64::prelude::BASE64_STANDARD.encode(format!("{user}:{password}"));
        self.header("Authorization", format!("Basic {token}"))
    }

    pub(crate) fn body(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.body = Some(Body::Sized(bytes.as_ref().to_vec()));
        self
    }

    /// Sends the parts with chunked transfer encoding.
    pub(crate) fn chunked(mut self, parts: &[&[u8]]) -> Self {
        self.body = Some(Body::Chunked(
            parts.iter().map(|part| part.to_vec()).collect(),
        ));
        self
    }

    /// Sends `times` copies of the block, which is never held more than once.
    pub(crate) fn repeated(mut self, block: &[u8], times: usize) -> Self {
        self.body = Some(Body::Repeated(block.to_vec(), times));
        self
    }

    /// Sends it and checks what must hold for every answer, that it is no 5xx included.
    pub(crate) fn send(self) -> Answer {
        let answer = self.send_any();
        assert!(answer.status < 500, "{answer:?}");
        answer
    }

    /// As `send`, where a 5xx is what the test is about.
    pub(crate) fn send_any(self) -> Answer {
        let what = format!("{} {}", self.method, shortened(&self.target));
        let answer = self
            .exchange()
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        answer.check();
        answer
    }

    /// The exchange alone, where the connection may break.
    pub(crate) fn exchange(self) -> std::io::Result<Answer> {
        let mut stream = match self.source {
            None => TcpStream::connect(self.address)?,
            Some(source) => {
                let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
                socket.bind(&SocketAddr::from((source, 0)).into())?;
                socket.connect(&self.address.into())?;
                socket.into()
            }
        };
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        // A server may answer and close before it has read everything: the answer counts.
        let sent = self.write(&mut stream);
        match Answer::read(&mut stream, &self.method, &self.target) {
            Ok(answer) => Ok(answer),
            Err(error) => Err(sent.err().unwrap_or(error)),
        }
    }

    fn write(&self, stream: &mut TcpStream) -> std::io::Result<()> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        if !self
            .headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("host"))
        {
            head.push_str("Host: registry.test\r\n");
        }
        head.push_str("Connection: close\r\n");
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        match &self.body {
            None => stream.write_all(format!("{head}\r\n").as_bytes()),
            Some(Body::Sized(bytes)) => {
                let head = format!("{head}Content-Length: {}\r\n\r\n", bytes.len());
                stream.write_all(head.as_bytes())?;
                stream.write_all(bytes)
            }
            Some(Body::Chunked(parts)) => {
                let head = format!("{head}Transfer-Encoding: chunked\r\n\r\n");
                stream.write_all(head.as_bytes())?;
                for part in parts.iter().filter(|part| !part.is_empty()) {
                    stream.write_all(format!("{:x}\r\n", part.len()).as_bytes())?;
                    stream.write_all(part)?;
                    stream.write_all(b"\r\n")?;
                }
                stream.write_all(b"0\r\n\r\n")
            }
            Some(Body::Repeated(block, times)) => {
                let head = format!("{head}Content-Length: {}\r\n\r\n", block.len() * times);
                stream.write_all(head.as_bytes())?;
                (0..*times).try_for_each(|_| stream.write_all(block))
            }
        }
    }
}

/// An answer as it came.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    method: String,
    target: String,
}

impl Answer {
    /// Reads one answer, provisional ones skipped, and not a byte more than it has.
    pub(crate) fn read(from: &mut impl Read, method: &str, target: &str) -> std::io::Result<Self> {
        loop {
            let (status, headers) = read_head(from)?;
            if (100..200).contains(&status) {
                continue;
            }
            let mut answer = Self {
                status,
                headers,
                body: Vec::new(),
                method: method.to_owned(),
                target: target.to_owned(),
            };
            let bodiless = method == "HEAD" || status == 204 || status == 304;
            if !bodiless {
                answer.body = answer.read_body(from)?;
            }
            return Ok(answer);
        }
    }

    fn read_body(&self, from: &mut impl Read) -> std::io::Result<Vec<u8>> {
        let mut body = Vec::new();
        if let Some(length) = self.header("content-length") {
            let length: u64 = length.parse().expect("a Content-Length that is a number");
            from.take(length).read_to_end(&mut body)?;
            if body.len() as u64 != length {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        } else if self.header("transfer-encoding").is_some() {
            loop {
                let line = read_line(from)?;
                let size = usize::from_str_radix(line.trim(), 16).expect("a chunk size");
                let start = body.len();
                body.resize(start + size, 0);
                from.read_exact(&mut body[start..])?;
                read_line(from)?;
                if size == 0 {
                    break;
                }
            }
        } else {
            from.read_to_end(&mut body)?;
        }
        Ok(body)
    }

    /// The value of a header that must not be there twice.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self
            .headers
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, v)| v);
        let value = values.next();
        assert!(values.next().is_none(), "{name} is there twice: {self:?}");
        value.map(String::as_str)
    }

    /// The value of a header that must be there.
    pub(crate) fn need(&self, name: &str) -> &str {
        self.header(name)
            .unwrap_or_else(|| panic!("no {name}: {self:?}"))
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Panics unless the status is this one.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// Panics unless it is an error with this status and, first, this code.
    #[track_caller]
    pub(crate) fn expect_error(self, status: u16, code: &str) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.code(), code, "{self:?}");
        self
    }

    /// Panics unless the header has this value.
    #[track_caller]
    pub(crate) fn expect_header(self, name: &str, value: &str) -> Self {
        assert_eq!(self.header(name), Some(value), "{name}: {self:?}");
        self
    }

    /// The code of the first error.
    pub(crate) fn code(&self) -> String {
        self.json()["errors"][0]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// What the first error says to the client: message and detail as one text.
    pub(crate) fn reason(&self) -> String {
        let error = self.json()["errors"][0].clone();
        format!("{} {}", error["message"], error["detail"])
    }

    /// The target of the `Link` with `rel="next"`.
    pub(crate) fn next(&self) -> Option<String> {
        let link = self.header("link")?;
        let (target, relation) = link.split_once(">;").expect("a Link with a relation");
        assert_eq!(relation.trim(), "rel=\"next\"", "{self:?}");
        Some(target.trim_start_matches('<').to_owned())
    }

    fn check(&self) {
        if !self.target.starts_with("/v2/") || self.status < 400 {
            return;
        }
        // What the HTTP library refuses before a request exists carries neither.
        if matches!(self.status, 400 | 408 | 414 | 431) && self.header("x-request-id").is_none() {
            return;
        }
        self.need("x-request-id");
        self.expect_api_version();
        if self.method == "HEAD" {
            return;
        }
        let kind = self.need("content-type");
        assert!(kind.starts_with("application/json"), "{self:?}");
        let errors = self.json()["errors"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        assert!(!errors.is_empty(), "{self:?}");
        for error in errors {
            let code = error["code"].as_str().expect("a code");
            assert!(
                CODES.iter().any(|(known, _)| *known == code),
                "unknown code: {self:?}"
            );
            assert!(error["message"].is_string(), "{self:?}");
        }
    }

    fn expect_api_version(&self) {
        let version = self.need("docker-distribution-api-version");
        assert_eq!(version, "registry/2.0", "{self:?}");
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "{} {} -> {}",
            self.method,
            shortened(&self.target),
            self.status
        )?;
        for (name, value) in &self.headers {
            writeln!(f, "    {name}: {value}")?;
        }
        let body = String::from_utf8_lossy(&self.body[..self.body.len().min(2000)]);
        write!(f, "    {body}")
    }
}

fn shortened(target: &str) -> String {
    target.chars().take(300).collect()
}

fn read_head(from: &mut impl Read) -> std::io::Result<(u16, Vec<(String, String)>)> {
    let line = read_line(from)?;
    let status = line
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let status = status.unwrap_or_else(|| panic!("no status line: {line:?}"));
    let mut headers = Vec::new();
    loop {
        let line = read_line(from)?;
        if line.is_empty() {
            return Ok((status, headers));
        }
        let (name, value) = line.split_once(':').expect("a header");
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
}

/// Reads byte by byte: what follows belongs to somebody else.
fn read_line(from: &mut impl Read) -> std::io::Result<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    loop {
        from.read_exact(&mut byte)?;
        if byte[0] == b'\n' {
            break;
        }
        line.push(byte[0]);
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}
