//! An OpenID Connect provider of one's own: discovery, keys that rotate, the device flow of RFC 8628
//! and a token endpoint, over HTTPS on a port of 127.0.0.1.
//!
//! It follows the specifications as far as a client can notice: a wrong client, grant or code is
//! refused with the error that they name, and whoever asks too often is told to slow down.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The client that people log in through.
pub(crate) const CLIENT: &str = "roadstead";

/// Serves until it is dropped.
pub(crate) struct Provider {
    shared: Arc<Mutex<Shared>>,
    runtime: Runtime,
}

struct Shared {
    address: SocketAddr,
    /// The newest signs; all are published.
    keys: Vec<Key>,
    keys_made: u32,
    logins: HashMap<String, Login>,
    /// Every request is answered with 503.
    away: bool,
    requests: Vec<String>,
}

struct Key {
    kid: String,
    pair: EcdsaKeyPair,
}

/// A login by device code.
struct Login {
    user_code: String,
    scope: String,
    asked: Option<Instant>,
    interval: Duration,
    standing: Standing,
}

enum Standing {
    Pending,
    /// With these claims besides the usual ones.
    Approved(Value),
    Denied,
    Expired,
}

type Refusal = (StatusCode, &'static str);

impl Provider {
    pub(crate) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Mutex::new(Shared {
            address,
            keys: Vec::new(),
            keys_made: 0,
            logins: HashMap::new(),
            away: false,
            requests: Vec::new(),
        }));
        let provider = Self {
            shared: Arc::clone(&shared),
            runtime,
        };
        provider.rotate();
        let acceptor = TlsAcceptor::from(Arc::new(tls()));
        provider.runtime.spawn(accept(listener, acceptor, shared));
        provider
    }

    /// The `iss` of its tokens.
    pub(crate) fn issuer(&self) -> String {
        self.lock().issuer()
    }

    /// The certificate that its clients must trust.
    pub(crate) fn ca(&self) -> PathBuf {
        file("certificate.pem")
    }

    /// Makes a new key, which signs from now on. The others stay published.
    pub(crate) fn rotate(&self) {
        let mut shared = self.lock();
        shared.keys_made += 1;
        let kid = format!("key-{}", shared.keys_made);
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        shared.keys.push(Key { kid, pair });
    }

    /// Withdraws all keys but the newest.
    pub(crate) fn withdraw_old_keys(&self) {
        let mut shared = self.lock();
        let newest = shared.keys.pop().unwrap();
        shared.keys = vec![newest];
    }

    /// Answers everything with 503, or no longer.
    pub(crate) fn be_away(&self, away: bool) {
        self.lock().away = away;
    }

    /// An ID token of `subject` for `audience`, good for an hour, with `more` claims, which replace
    /// the usual ones of the same name.
    pub(crate) fn id_token(&self, subject: &str, audience: &str, more: &Value) -> String {
        self.lock().id_token(subject, audience, more)
    }

    /// What a person does in the browser: confirms that the code is theirs.
    pub(crate) fn approve(&self, user_code: &str, claims: Value) {
        self.decide(user_code, Standing::Approved(claims));
    }

    /// What a person does in the browser who has not asked for this.
    pub(crate) fn deny(&self, user_code: &str) {
        self.decide(user_code, Standing::Denied);
    }

    /// As if nobody had confirmed in time.
    pub(crate) fn expire(&self, user_code: &str) {
        self.decide(user_code, Standing::Expired);
    }

    /// The requests so far, as `GET /path`.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.lock().requests.clone()
    }

    fn decide(&self, user_code: &str, standing: Standing) {
        let mut shared = self.lock();
        let mut logins = shared.logins.values_mut();
        let login = logins.find(|login| login.user_code == user_code);
        login.expect("a login with this code").standing = standing;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().unwrap()
    }
}

impl Shared {
    fn issuer(&self) -> String {
        format!("https://127.0.0.1:{}", self.address.port())
    }

    fn id_token(&self, subject: &str, audience: &str, more: &Value) -> String {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = now.unwrap().as_secs();
        let mut claims = json!({
            "iss": self.issuer(), "sub": subject, "aud": audience, "iat": now, "exp": now + 3600,
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            claims[name] = value.clone();
        }
        let key = self.keys.last().unwrap();
        let header = json!({"alg": "ES256", "kid": key.kid, "typ": "JWT"});
        let signed = format!(
            "{}.{}",
            encode(header.to_string()),
            encode(claims.to_string())
        );
        let signature = key.pair.sign(&SystemRandom::new(), signed.as_bytes());
        format!("{signed}.{}", encode(signature.unwrap()))
    }

    fn answer(&mut self, method: &Method, path: &str, form: &HashMap<String, String>) -> Answer {
        self.requests.push(format!("{method} {path}"));
        if self.away {
            return (StatusCode::SERVICE_UNAVAILABLE, Value::Null);
        }
        match (method.as_str(), path) {
            ("GET", "/.well-known/openid-configuration") => (StatusCode::OK, self.discovery()),
            ("GET", "/keys") => (StatusCode::OK, self.key_set()),
            ("POST", "/device") => or_error(self.begin(form)),
            ("POST", "/token") => or_error(self.token(form)),
            _ => (StatusCode::NOT_FOUND, Value::Null),
        }
    }

    fn discovery(&self) -> Value {
        let issuer = self.issuer();
        json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "jwks_uri": format!("{issuer}/keys"),
            "token_endpoint": format!("{issuer}/token"),
            "device_authorization_endpoint": format!("{issuer}/device"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        })
    }

    fn key_set(&self) -> Value {
        let jwk = |key: &Key| {
            let (x, y) = key.pair.public_key().as_ref()[1..].split_at(32);
            json!({
                "kty": "EC", "crv": "P-256", "kid": key.kid, "use": "sig", "alg": "ES256",
                "x": encode(x), "y": encode(y),
            })
        };
        json!({"keys": self.keys.iter().map(jwk).collect::<Vec<_>>()})
    }

    /// RFC 8628 §3.1 and §3.2.
    fn begin(&mut self, form: &HashMap<String, String>) -> Result<Value, Refusal> {
        check_client(form)?;
        let scope = form.get("scope").cloned().unwrap_or_default();
        if !scope.split(' ').any(|scope| scope == "openid") {
            return Err((StatusCode::BAD_REQUEST, "invalid_scope"));
        }
        let random = || uuid::Uuid::new_v4().simple().to_string();
        let user_code = random()[..8].to_uppercase();
        let device_code = random();
        let login = Login {
            user_code: user_code.clone(),
            scope,
            asked: None,
            interval: Duration::from_secs(1),
            standing: Standing::Pending,
        };
        self.logins.insert(device_code.clone(), login);
        let uri = format!("{}/activate", self.issuer());
        Ok(json!({
            "device_code": device_code,
            "user_code": user_code,
            "verification_uri": uri,
            "verification_uri_complete": format!("{uri}?user_code={user_code}"),
            "expires_in": 600,
            "interval": 1,
        }))
    }

    /// RFC 8628 §3.4 and §3.5.
    fn token(&mut self, form: &HashMap<String, String>) -> Result<Value, Refusal> {
        let refuse = |error| Err((StatusCode::BAD_REQUEST, error));
        let field = |name: &str| form.get(name).map_or("", String::as_str);
        check_client(form)?;
        if field("grant_type") != "urn:ietf:params:oauth:grant-type:device_code" {
            return refuse("unsupported_grant_type");
        }
        let code = field("device_code").to_owned();
        let Some(login) = self.logins.get_mut(&code) else {
            return refuse("invalid_grant");
        };
        let early = login
            .asked
            .is_some_and(|asked| asked.elapsed() < login.interval);
        login.asked = Some(Instant::now());
        match &login.standing {
            Standing::Pending if early => {
                login.interval += Duration::from_secs(5);
                refuse("slow_down")
            }
            Standing::Pending => refuse("authorization_pending"),
            Standing::Denied => refuse("access_denied"),
            Standing::Expired => refuse("expired_token"),
            Standing::Approved(claims) => {
                let (claims, scope) = (claims.clone(), login.scope.clone());
                // A code is good for one token.
                self.logins.remove(&code);
                let subject = claims["sub"].as_str().unwrap_or("somebody").to_owned();
                Ok(json!({
                    "access_token": "opaque", "token_type": "Bearer", "expires_in": 3600,
                    "scope": scope, "id_token": self.id_token(&subject, CLIENT, &claims),
                }))
            }
        }
    }
}

type Answer = (StatusCode, Value);

fn check_client(form: &HashMap<String, String>) -> Result<(), Refusal> {
    match form.get("client_id").map(String::as_str) {
        Some(CLIENT) => Ok(()),
        _ => Err((StatusCode::UNAUTHORIZED, "invalid_client")),
    }
}

fn or_error(outcome: Result<Value, Refusal>) -> Answer {
    match outcome {
        Ok(value) => (StatusCode::OK, value),
        Err((status, error)) => (status, json!({ "error": error })),
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, shared: Arc<Mutex<Shared>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, shared) = (acceptor.clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            // Clients that trust nobody hang up here.
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            let service = service_fn(|request| serve(request, Arc::clone(&shared)));
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            let _closed = connection.await;
        });
    }
}

async fn serve(
    request: Request<Incoming>,
    shared: Arc<Mutex<Shared>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, 64 << 10).collect().await;
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    let form = form(&String::from_utf8_lossy(&body));
    let (status, value) = shared
        .lock()
        .unwrap()
        .answer(&head.method, head.uri.path(), &form);
    let answer = Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .header("cache-control", "no-store")
        .body(Full::new(Bytes::from(value.to_string())));
    Ok(answer.unwrap())
}

/// The fields of a form.
fn form(body: &str) -> HashMap<String, String> {
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        let bytes = percent_encoding::percent_decode_str(&text);
        bytes.decode_utf8_lossy().into_owned()
    };
    body.split('&')
        .filter_map(|field| field.split_once('='))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

fn tls() -> ServerConfig {
    let certificate = CertificateDer::from_pem_file(file("certificate.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(file("key.pem")).unwrap();
    ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap()
}

/// Of the certificate that the tests of TLS use too: it is for `localhost` and 127.0.0.1.
fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/blackbox/tls")
        .join(name)
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}
