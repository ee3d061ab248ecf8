use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;

use super::exchange::Resolve;
use super::server::Server;
use super::*;
use crate::watched::lock;

/// Answers with one address after the other, as a name does that is rebound.
#[derive(Clone)]
struct Names(Arc<Mutex<VecDeque<Vec<SocketAddr>>>>);

impl Names {
    fn new(answers: &[&[SocketAddr]]) -> Self {
        let answers = answers.iter().map(|answer| answer.to_vec()).collect();
        Self(Arc::new(Mutex::new(answers)))
    }
}

impl Resolve for Names {
    fn resolve<'a>(
        &'a self,
        _host: &'a str,
        _port: u16,
    ) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        let answer = lock(&self.0).pop_front();
        Box::pin(async move { answer.ok_or_else(|| io::ErrorKind::NotFound.into()) })
    }
}

fn url(text: &str) -> HttpsUrl {
    text.parse().unwrap()
}

/// One without exceptions.
fn strict(server: &Server) -> Fetcher {
    Fetcher::new(&EgressSettings::default(), Some(server.ca())).unwrap()
}

#[tokio::test]
async fn a_document_comes_in_one_piece_or_in_many() {
    let server = Server::start().await;
    server.put("/a?b=c", "{}");
    let chunked =
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n";
    server.put_raw("/chunked", chunked);
    server.put_raw("/until-the-end", "HTTP/1.1 200 OK\r\n\r\n{}");
    let fetcher = server.fetcher();
    for path in ["/a?b=c", "/chunked", "/until-the-end"] {
        let body = fetcher.get(&url(&server.url(path))).await.unwrap();
        assert_eq!(body, b"{}", "{path}");
    }
    let head = server.requests().first().unwrap().to_ascii_lowercase();
    assert!(head.starts_with("get /a?b=c http/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("host: 127.0.0.1:{}\r\n", server.address.port())));
}

#[tokio::test]
async fn answers_that_are_none_are_refused() {
    let server = Server::start().await;
    let large = "a".repeat(MAX_BYTES + 1);
    server.put("/exact", &large[1..]);
    server.put("/large", &large);
    server.put_raw("/large-unsaid", format!("HTTP/1.1 200 OK\r\n\r\n{large}"));
    server.put_raw("/garbage", "garbage\r\n\r\n");
    server.put_raw("/nothing", "");
    server.put_raw("/cut", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{}");
    let headers = format!("HTTP/1.1 200 OK\r\nx: {large}\r\ncontent-length: 0\r\n\r\n");
    server.put_raw("/headers", headers);
    let fetcher = server.fetcher();
    let get = |path: &str| {
        let (url, fetcher) = (url(&server.url(path)), &fetcher);
        async move { fetcher.get(&url).await }
    };
    assert_eq!(get("/exact").await.unwrap().len(), MAX_BYTES);
    for path in ["/large", "/large-unsaid"] {
        assert!(
            matches!(get(path).await, Err(FetchError::TooLarge { .. })),
            "{path}"
        );
    }
    for path in ["/garbage", "/nothing", "/cut", "/headers"] {
        let outcome = get(path).await;
        assert!(
            matches!(outcome, Err(FetchError::Exchange { .. })),
            "{path}: {outcome:?}"
        );
    }
    let missing = get("/missing").await;
    assert!(matches!(
        missing,
        Err(FetchError::Status { status: 404, .. })
    ));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let server = Server::start().await;
    let target = server.url("/target");
    server.put("/target", "{}");
    for status in ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"] {
        let answer =
            format!("HTTP/1.1 {status}\r\nlocation: {target}\r\ncontent-length: 0\r\n\r\n");
        server.put_raw("/away", answer);
        let away = url(&server.url("/away"));
        let outcome = server.fetcher().get(&away).await;
        assert!(matches!(outcome, Err(FetchError::Redirected { .. })));
        let outcome = server.fetcher().post_form(&away, &[("a", "b")]).await;
        assert!(matches!(outcome, Err(FetchError::Redirected { .. })));
    }
    assert!(
        server
            .requests()
            .iter()
            .all(|request| !request.contains("/target"))
    );
}

/// R21.
#[tokio::test]
async fn private_addresses_are_refused_however_they_are_written() {
    let server = Server::start().await;
    let port = server.address.port();
    for host in [
        "127.0.0.1",
        "169.254.169.254",
        "[::ffff:127.0.0.1]",
        "[::ffff:a9fe:a9fe]",
        "[64:ff9b::7f00:1]",
        "[fe80::1]",
        "[::1]",
        "0.0.0.0",
        "10.0.0.1",
        "localhost",
    ] {
        let target = url(&format!("https://{host}:{port}/"));
        let outcome = strict(&server).get(&target).await;
        assert!(
            matches!(outcome, Err(FetchError::Forbidden { .. })),
            "{host}: {outcome:?}"
        );
    }
    // Some systems read an address out of these.
    for host in ["0x7f.1", "2130706433", "0177.0.0.1", "127.1", "LOCALHOST."] {
        let Ok(target) = format!("https://{host}:{port}/").parse::<HttpsUrl>() else {
            continue;
        };
        let outcome = strict(&server).get(&target).await;
        assert!(
            matches!(
                outcome,
                Err(FetchError::Forbidden { .. }
                    | FetchError::NotAHost { .. }
                    | FetchError::Lookup { .. })
            ),
            "{host}: {outcome:?}"
        );
    }
    assert_eq!(server.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn a_name_that_is_rebound_gets_nowhere() {
    let server = Server::start().await;
    server.put("/", "{}");
    let public: SocketAddr = "192.0.2.1:443".parse().unwrap();
    let target = url(&format!("https://localhost:{}/", server.address.port()));
    // Private at once, or beside another address, or with a zone.
    let zone = std::net::SocketAddrV6::new("fe80::1".parse().unwrap(), 443, 0, 1);
    for answer in [
        vec![server.address],
        vec!["8.8.8.8:443".parse().unwrap(), server.address],
        vec![zone.into()],
        vec![public],
    ] {
        let fetcher = strict(&server).with_resolver(Box::new(Names::new(&[&answer])));
        let outcome = fetcher.get(&target).await;
        assert!(
            matches!(outcome, Err(FetchError::Forbidden { .. })),
            "{outcome:?}"
        );
    }
    // A second look-up would get another answer: there is none.
    let names = Names::new(&[&[server.address], &[public]]);
    let fetcher = server.fetcher().with_resolver(Box::new(names.clone()));
    assert_eq!(fetcher.get(&target).await.unwrap(), b"{}");
    assert_eq!(lock(&names.0).len(), 1);
    assert!(matches!(
        fetcher.get(&target).await,
        Err(FetchError::Forbidden { .. })
    ));
    assert!(matches!(
        fetcher.get(&target).await,
        Err(FetchError::Lookup { .. })
    ));
}

#[tokio::test]
async fn only_the_named_authority_is_trusted_and_its_file_is_read_again() {
    let (server, other) = (Server::start().await, Server::start().await);
    server.put("/", "{}");
    let target = url(&server.url("/"));
    let wrong = Fetcher::new(&server.egress(), Some(other.ca())).unwrap();
    assert!(matches!(
        wrong.get(&target).await,
        Err(FetchError::Connect { .. })
    ));
    // A broken file keeps the authorities of before, a good one is in force at once.
    std::fs::write(other.ca(), "broken").unwrap();
    assert!(matches!(
        wrong.get(&target).await,
        Err(FetchError::Connect { .. })
    ));
    std::fs::copy(server.ca(), other.ca()).unwrap();
    assert_eq!(wrong.get(&target).await.unwrap(), b"{}");
    std::fs::write(other.ca(), "broken").unwrap();
    assert_eq!(wrong.get(&target).await.unwrap(), b"{}");
    assert!(Fetcher::new(&server.egress(), Some(other.ca())).is_err());
    let besides = EgressSettings {
        ca: Some(server.ca()),
        ..server.egress()
    };
    let fetcher = Fetcher::new(&besides, None).unwrap();
    assert_eq!(fetcher.get(&target).await.unwrap(), b"{}");
}

#[tokio::test]
async fn a_form_is_encoded() {
    let server = Server::start().await;
    server.put("/token", "{}");
    let fetcher = server.fetcher();
    let fields = [("a b", "c&d=e"), ("f", "ü")];
    let answer = fetcher
        .post_form(&url(&server.url("/token")), &fields)
        .await;
    assert_eq!(answer.unwrap().body, b"{}");
    let request = server.requests().pop().unwrap();
    assert!(
        request.ends_with("\r\n\r\na%20b=c%26d%3De&f=%C3%BC"),
        "{request}"
    );
}
