//! A small HTTPS server for tests: one answer for each path.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::{Allowed, EgressSettings, Fetcher};
use crate::watched::lock;

/// Serves until it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    answers: Arc<Mutex<HashMap<String, Vec<u8>>>>,
    requests: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
    directory: tempfile::TempDir,
}

impl Server {
    /// Starts on a port of 127.0.0.1 with a certificate for `localhost` and that address.
    pub(crate) async fn start() -> Self {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ca.pem"), made.cert.pem()).unwrap();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], PrivateKeyDer::Pkcs8(key))
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (answers, requests) = (Arc::default(), Arc::default());
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let task = tokio::spawn(serve(
            listener,
            acceptor,
            Arc::clone(&answers),
            Arc::clone(&requests),
        ));
        Self {
            address,
            answers,
            requests,
            task,
            directory,
        }
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.address.port())
    }

    /// Answers with status 200 and this body from now on.
    pub(crate) fn put(&self, path: &str, body: impl AsRef<[u8]>) {
        let body = body.as_ref();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        self.put_raw(path, [head.as_bytes(), body].concat());
    }

    /// Answers with these bytes from now on, and closes.
    pub(crate) fn put_raw(&self, path: &str, answer: impl Into<Vec<u8>>) {
        lock(&self.answers).insert(path.to_owned(), answer.into());
    }

    /// The requests so far, heads and bodies.
    pub(crate) fn requests(&self) -> Vec<String> {
        lock(&self.requests).clone()
    }

    /// One that trusts this server alone and may reach it.
    pub(crate) fn fetcher(&self) -> Fetcher {
        Fetcher::new(&self.egress(), Some(self.ca())).unwrap()
    }

    pub(crate) fn egress(&self) -> EgressSettings {
        EgressSettings {
            allow: vec![Allowed::Network(self.address.ip(), 32)],
            ca: None,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    answers: Arc<Mutex<HashMap<String, Vec<u8>>>>,
    requests: Arc<Mutex<Vec<String>>>,
) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            return;
        };
        let Ok(mut stream) = acceptor.accept(stream).await else {
            continue;
        };
        let mut request = Vec::new();
        while !complete(&request) {
            let mut bytes = [0; 4096];
            match stream.read(&mut bytes).await {
                Ok(0) | Err(_) => break,
                Ok(count) => request.extend_from_slice(&bytes[..count]),
            }
        }
        let request = String::from_utf8_lossy(&request).into_owned();
        let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
        lock(&requests).push(request);
        let answer = lock(&answers).get(&path).cloned();
        let missing = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec();
        // A client may have heard enough before the end.
        let _closed = stream.write_all(&answer.unwrap_or(missing)).await;
        let _closed = stream.shutdown().await;
    }
}

/// Whether head and body are there.
fn complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    body.len() >= length.map_or(0, |(_, value)| value.parse().unwrap())
}
