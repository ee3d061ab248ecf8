//! Single requests: loading content, pushing, listing.

use std::net::Ipv4Addr;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Reading, Stream, Target};

/// Bytes that one read takes at most.
const BUFFER_BYTES: usize = 256 << 10;

/// A connection for one request after another.
pub(crate) struct Client {
    stream: Stream,
    host: String,
    /// A header line of every request, or nothing.
    authorization: String,
    buffer: Vec<u8>,
}

/// An answer with its body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    head: String,
}

impl Answer {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The target in `Location`, without scheme and host.
    ///
    /// # Errors
    /// Where there is none.
    pub(crate) fn location(&self) -> Result<&str> {
        let location = self.header("location").context("no Location")?;
        let Some((_, rest)) = location.split_once("://") else {
            return Ok(location);
        };
        let at = rest.find('/').context("a Location without a path")?;
        rest.get(at..).context("a Location without a path")
    }
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// Those of [`Target::connect`].
    pub(crate) async fn connect(target: &Target) -> Result<Self> {
        Ok(Self::over(target.connect().await?, target))
    }

    /// Connects from this address of the machine.
    ///
    /// # Errors
    /// Those of [`Target::connect_from`].
    pub(crate) async fn connect_from(address: Ipv4Addr, target: &Target) -> Result<Self> {
        Ok(Self::over(target.connect_from(address).await?, target))
    }

    fn over(stream: Stream, target: &Target) -> Self {
        Self {
            stream,
            host: target.address.to_string(),
            authorization: String::new(),
            buffer: vec![0; BUFFER_BYTES],
        }
    }

    /// The same, with an `Authorization` header in every request.
    pub(crate) fn with(mut self, authorization: Option<&str>) -> Self {
        self.authorization = authorization.map_or_else(String::new, authorization_line);
        self
    }

    /// The connection alone, which costs less memory.
    pub(crate) fn into_stream(self) -> Stream {
        self.stream
    }

    /// Sends a request and reads the answer, which must have this status.
    ///
    /// # Errors
    /// Another status, a broken connection.
    pub(crate) async fn expect(
        &mut self,
        status: u16,
        line: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer> {
        let answer = self.send(line, headers, body).await?;
        if answer.status != status {
            let text = String::from_utf8_lossy(&answer.body);
            bail!("{line}: {} in place of {status}: {text}", answer.status);
        }
        Ok(answer)
    }

    /// Sends a request, of which `line` is method and target, and reads the answer.
    ///
    /// # Errors
    /// A broken connection, an answer that is none.
    pub(crate) async fn send(
        &mut self,
        line: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer> {
        self.exchange(line, headers, body)
            .await
            .with_context(|| line.to_owned())
    }

    async fn exchange(
        &mut self,
        line: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer> {
        let mut head = format!(
            "{line} HTTP/1.1\r\nHost: {}\r\n{}",
            self.host, self.authorization
        );
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !line.starts_with("GET ") && !line.starts_with("HEAD ") {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        let mut head = head.into_bytes();
        // One packet for what is small: no server waits for the second half.
        if body.len() <= BUFFER_BYTES {
            head.extend_from_slice(body);
            self.stream.write_all(&head).await?;
        } else {
            self.stream.write_all(&head).await?;
            self.stream.write_all(body).await?;
        }
        self.stream.flush().await?;
        let mut reading = Reading::keeping_head(line.starts_with("HEAD "));
        let mut received = Vec::new();
        loop {
            let count = self.stream.read(&mut self.buffer).await?;
            ensure!(count > 0, "the server closed the connection");
            let bytes = self.buffer.get(..count).unwrap_or_default();
            if reading.feed(bytes, &mut |part| received.extend_from_slice(part))? {
                return Ok(Answer {
                    status: reading.status(),
                    head: reading.head(),
                    body: received,
                });
            }
        }
    }
}

/// The line of the header with credentials.
pub(crate) fn authorization_line(value: &str) -> String {
    format!("Authorization: {value}\r\n")
}
