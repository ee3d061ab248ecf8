//! A connection that sends whatever a test writes.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use super::{Answer, SOON};

/// A raw connection to the registry.
pub(crate) struct Wire {
    stream: TcpStream,
}

/// What came back until the server closed, or fell silent.
pub(crate) struct Reply {
    pub(crate) bytes: Vec<u8>,
    /// The server closed the connection (else it kept it open and said no more).
    pub(crate) closed: bool,
}

impl Wire {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).unwrap()
    }

    pub(crate) fn try_connect(address: SocketAddr) -> std::io::Result<Self> {
        Self::over(TcpStream::connect(address)?)
    }

    /// A connection that a test has made in its own way.
    pub(crate) fn over(stream: TcpStream) -> std::io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SOON))?;
        stream.set_write_timeout(Some(SOON))?;
        Ok(Self { stream })
    }

    /// Lets the server take this long for each step.
    pub(crate) fn patient(self, limit: Duration) -> Self {
        self.stream.set_read_timeout(Some(limit)).unwrap();
        self.stream.set_write_timeout(Some(limit)).unwrap();
        self
    }

    /// Sends all of it; panics where the server no longer takes it.
    pub(crate) fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Sends all of it; false where the server no longer takes it.
    pub(crate) fn try_write(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Says that nothing more will be sent, and goes on reading.
    pub(crate) fn half_close(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Reads one answer to a request of this method.
    pub(crate) fn answer(&mut self, method: &str) -> Answer {
        self.try_answer(method)
            .unwrap_or_else(|error| panic!("no answer to {method}: {error}"))
    }

    pub(crate) fn try_answer(&mut self, method: &str) -> std::io::Result<Answer> {
        Answer::read(&mut self.stream, method, "(raw)")
    }

    /// Reads at most this many bytes that are there.
    pub(crate) fn read_some(&mut self, most: usize) -> std::io::Result<Vec<u8>> {
        let mut bytes = vec![0; most];
        let count = self.stream.read(&mut bytes)?;
        bytes.truncate(count);
        Ok(bytes)
    }

    /// Reads to the end of the connection, or to a silence of `silence`.
    pub(crate) fn read_all(&mut self, silence: Duration) -> Reply {
        self.stream.set_read_timeout(Some(silence)).unwrap();
        let mut bytes = Vec::new();
        let mut buffer = [0; 16 << 10];
        let closed = loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => break true,
                Ok(count) => bytes.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break false,
                // A reset is a close, too.
                Err(_) => break true,
            }
        };
        self.stream.set_read_timeout(Some(SOON)).unwrap();
        Reply { bytes, closed }
    }
}

impl Reply {
    /// The statuses of all answers in what came back.
    pub(crate) fn statuses(&self) -> Vec<u16> {
        let text = String::from_utf8_lossy(&self.bytes);
        text.split("HTTP/1.")
            .skip(1)
            .filter_map(|rest| rest.get(2..5)?.parse().ok())
            .collect()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}
