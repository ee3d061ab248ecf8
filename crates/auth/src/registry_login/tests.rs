use super::*;
use crate::fetch::server::Server;

/// A registry at this server whose challenge is `challenge`.
fn challenge(server: &Server, challenge: &str) {
    let answer = format!(
        "HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Basic realm=\"x\"\r\n\
         www-authenticate: {challenge}\r\ncontent-length: 0\r\n\r\n"
    );
    server.put_raw("/v2/", answer);
}

async fn discover(server: &Server) -> Result<RegistryLogin, LoginError> {
    let registry = format!("127.0.0.1:{}", server.address.port());
    discover_as(server, &registry).await
}

async fn discover_as(server: &Server, registry: &str) -> Result<RegistryLogin, LoginError> {
    let egress = EgressSettings {
        ca: Some(server.ca()),
        ..server.egress()
    };
    RegistryLogin::discover(registry, Transport::Tls, &egress).await
}

#[tokio::test]
async fn a_refresh_token_comes_from_the_registrys_own_server() {
    let server = Server::start().await;
    let realm = format!("Bearer realm=\"{}\",service=\"a b\"", server.url("/t"));
    challenge(&server, &realm);
    let login = discover(&server).await.unwrap();
    for written in [server.url(""), server.url("/")] {
        assert!(discover_as(&server, &written).await.is_ok(), "{written}");
    }
    for other in [
        server.url("/a"),
        server.url("//"),
        server.url("").replace("https", "http"),
    ] {
        let refused = discover_as(&server, &other).await;
        assert!(matches!(refused, Err(LoginError::Registry(_))), "{other}");
    }
    server.put("/t", r#"{"token": "x", "refresh_token": "r.e.f"}"#);
    let token = login.exchange("id&token").await.unwrap();
    assert_eq!(token, "r.e.f");
    let asked = server.requests().pop().unwrap();
    for part in [
        "grant%5Ftype=urn%3Aietf%3Aparams%3Aoauth%3Agrant%2Dtype%3Atoken%2Dexchange",
        "subject%5Ftoken=id%26token",
        "access%5Ftype=offline",
        "service=a%20b",
    ] {
        assert!(asked.contains(part), "{asked}");
    }
    for (answer, refusal) in [
        ("HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n", true),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n{\"token\":\"x\"}",
            true,
        ),
        ("HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n", false),
        ("HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n", false),
        (
            "HTTP/1.1 307 No\r\nlocation: https://evil/\r\ncontent-length: 0\r\n\r\n",
            false,
        ),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]", false),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 24\r\n\r\n{\"refresh_token\":\"a\\nb\"}",
            false,
        ),
    ] {
        server.put_raw("/t", answer);
        let error = login.exchange("t").await.unwrap_err();
        assert_eq!(error.is_refusal(), refusal, "{error:?}");
    }
}

/// R20: an ID token goes to no server but the registry that the person named.
#[tokio::test]
async fn another_server_gets_no_token() {
    let (server, evil) = (Server::start().await, Server::start().await);
    let port = server.address.port();
    for realm in [
        evil.url("/t"),
        format!("http://127.0.0.1:{port}/t"),
        format!("https://localhost:{port}/t"),
        "https://127.0.0.1/t".to_owned(),
    ] {
        challenge(&server, &format!("Bearer realm=\"{realm}\""));
        let error = discover(&server).await.err().unwrap();
        assert!(matches!(error, LoginError::Elsewhere { .. }), "{error:?}");
    }
    for realm in ["", "/t", "file:///t", "https://user@127.0.0.1/t"] {
        challenge(&server, &format!("Bearer realm=\"{realm}\""));
        let error = discover(&server).await.err().unwrap();
        assert!(matches!(error, LoginError::Realm { .. }), "{error:?}");
    }
    challenge(&server, "Digest realm=\"x\"");
    assert!(matches!(discover(&server).await, Err(LoginError::NoTokens)));
    server.put("/v2/", "{}");
    let open = discover(&server).await;
    assert!(matches!(
        open,
        Err(LoginError::NoChallenge { status: 200, .. })
    ));
    assert_eq!(evil.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn plain_http_stays_on_this_machine() {
    let egress = EgressSettings {
        allow: vec!["0.0.0.0/0".parse().unwrap()],
        ca: None,
    };
    let plain =
        |registry: &'static str| RegistryLogin::discover(registry, Transport::Loopback, &egress);
    for away in ["192.0.2.1", "10.0.0.1:5000", "8.8.8.8"] {
        let error = plain(away).await.err().unwrap();
        let is_plain = matches!(error, LoginError::Fetch(FetchError::Plain { .. }));
        assert!(is_plain, "{error:?}");
    }
    for registry in ["", "a/b", "https://a", "a?b", "a@b", "a#b", "a b", ":5000"] {
        let error = plain(registry).await.err().unwrap();
        assert!(
            matches!(error, LoginError::Registry(_)),
            "{registry}: {error:?}"
        );
    }
}
