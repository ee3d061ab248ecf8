use serde_json::{Value, json};

use super::*;
use crate::fetch::server::Server;

/// A provider whose answers are given.
async fn provider() -> (Server, DeviceClient) {
    let server = Server::start().await;
    let discovery = json!({
        "issuer": server.url(""),
        "jwks_uri": server.url("/keys"),
        "device_authorization_endpoint": server.url("/device"),
        "token_endpoint": server.url("/token"),
    });
    server.put("/.well-known/openid-configuration", discovery.to_string());
    let client = discover(&server).await.unwrap();
    (server, client)
}

async fn discover(server: &Server) -> Result<DeviceClient, DeviceError> {
    let issuer = server.url("").parse().unwrap();
    let scopes = ["email".to_owned(), "groups".to_owned()];
    let (egress, ca) = (server.egress(), Some(server.ca()));
    DeviceClient::discover(&issuer, "client".into(), &scopes, &egress, ca).await
}

fn begun(member: &str, value: Value) -> String {
    let mut answer = json!({
        "device_code": "secret-code", "user_code": "WDJB-MJHT",
        "verification_uri": "https://idp/device", "expires_in": 600, "interval": 1,
    });
    answer[member] = value;
    answer.to_string()
}

fn refuse(server: &Server, error: &str) {
    let body = json!({"error": error, "error_description": "because"}).to_string();
    let head = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    server.put_raw("/token", head + &body);
}

#[tokio::test]
async fn a_login_ends_with_a_token() {
    let (server, client) = provider().await;
    server.put("/device", begun("more", json!(1)));
    let login = client.begin().await.unwrap();
    assert_eq!(
        (&*login.user_code, &*login.verification_uri),
        ("WDJB-MJHT", "https://idp/device")
    );
    assert!(!format!("{login:?}").contains("secret-code"));
    let request = server.requests().pop().unwrap();
    assert!(
        request.ends_with("client%5Fid=client&scope=openid%20email%20groups"),
        "{request}"
    );
    refuse(&server, "authorization_pending");
    assert!(matches!(client.ask(&login).await, Ok(Answer::NotYet)));
    refuse(&server, "slow_down");
    assert!(matches!(client.ask(&login).await, Ok(Answer::SlowDown)));
    server.put(
        "/token",
        json!({"id_token": "a.b.c", "access_token": "x"}).to_string(),
    );
    assert_eq!(client.wait(&login).await.unwrap(), "a.b.c");
    let request = server.requests().pop().unwrap();
    assert!(request.contains("device%5Fcode=secret%2Dcode"), "{request}");
    assert!(
        request.contains("grant%2Dtype%3Adevice%5Fcode"),
        "{request}"
    );
}

#[tokio::test]
async fn a_login_can_fail() {
    let (server, client) = provider().await;
    server.put("/device", begun("more", json!(1)));
    let login = client.begin().await.unwrap();
    refuse(&server, "access_denied");
    assert!(matches!(
        client.wait(&login).await,
        Err(DeviceError::Denied)
    ));
    refuse(&server, "expired_token");
    assert!(matches!(
        client.wait(&login).await,
        Err(DeviceError::Expired)
    ));
    refuse(&server, "invalid_client");
    let told = client.wait(&login).await.unwrap_err().to_string();
    assert_eq!(told, "the issuer refuses: invalid_client (because)");
    // What could move a terminal's cursor.
    refuse(&server, "\u{1b}[2J");
    assert!(matches!(
        client.wait(&login).await,
        Err(DeviceError::Malformed)
    ));
    server.put("/token", "{}");
    assert!(matches!(
        client.wait(&login).await,
        Err(DeviceError::Malformed)
    ));
    // A code that ends before the first question is due.
    server.put("/device", begun("expires_in", json!(0)));
    let login = client.begin().await.unwrap();
    assert!(matches!(
        client.wait(&login).await,
        Err(DeviceError::Expired)
    ));
}

#[tokio::test]
async fn answers_that_cannot_be_shown_are_refused() {
    let (server, client) = provider().await;
    for (member, value) in [
        ("user_code", json!("")),
        ("user_code", json!("\u{1b}[31m")),
        ("verification_uri", json!("a\nb")),
        ("verification_uri_complete", json!("a\u{7}")),
        ("device_code", json!(null)),
        ("expires_in", json!("soon")),
        ("user_code", json!("a".repeat(MAX_TEXT + 1))),
    ] {
        server.put("/device", begun(member, value));
        assert!(
            matches!(client.begin().await, Err(DeviceError::Malformed)),
            "{member}"
        );
    }
}

#[tokio::test]
async fn an_issuer_without_the_flow_says_so() {
    let (server, _client) = provider().await;
    let discovery = json!({"issuer": server.url(""), "jwks_uri": server.url("/keys")});
    server.put("/.well-known/openid-configuration", discovery.to_string());
    assert!(matches!(
        discover(&server).await,
        Err(DeviceError::NotOffered)
    ));
}
