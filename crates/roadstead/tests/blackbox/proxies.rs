//! Case 92: the corpus of request smuggling behind proxies that keep their connections to the
//! registry. No request arrives that the proxy does not know of, and nobody gets another's answer.
//!
//! A proxy writes its own User-Agent into every request that it forwards, and the registry logs it:
//! a request with another one was hidden from the proxy.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::corpus::{CHUNKS, CODINGS, HELLO, LENGTHS, heads, upload};
use crate::harness::{Answer, Registry, Request, SOON, Wire, noise, until};

/// How long a proxy that waits for more may be silent until its answer counts as whole.
const SILENCE: Duration = Duration::from_millis(200);

/// What is hidden in bodies, or follows behind them.
const SMUGGLED: &str = "GET /v2/smuggled/tags/list HTTP/1.1\r\nHost: x\r\n\
     User-Agent: smuggled\r\nConnection: close\r\n\r\n";

/// A proxy in front of a registry. Dropped, it is killed.
pub(crate) struct Proxy {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Proxy {
    /// Starts `program` on a port that was free a moment ago, with the configuration for it;
    /// on another one if somebody else was faster.
    pub(crate) fn start(
        registry: &Registry,
        program: &str,
        words: &[&str],
        config: Config,
    ) -> Option<Self> {
        let directory = registry.builder().path(program);
        std::fs::create_dir_all(&directory).unwrap();
        let file = directory.join("config");
        for _ in 0..20 {
            let free = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = free.local_addr().unwrap();
            drop(free);
            let text = config(&directory, address, registry.address());
            std::fs::write(&file, text).unwrap();
            let log = std::fs::File::create(directory.join("log")).unwrap();
            let spawned = Command::new(program)
                .args(words)
                .arg(&file)
                .env("PATH", path())
                .current_dir(&directory)
                .stdin(Stdio::null())
                .stdout(log.try_clone().unwrap())
                .stderr(log)
                .spawn();
            let mut child = match spawned {
                Ok(child) => child,
                Err(error) => {
                    let ci = std::env::var_os("CI").is_some();
                    assert!(!ci, "{program} is not here: {error}");
                    eprintln!("skipped: {program} is not here: {error}");
                    return None;
                }
            };
            let listens = until(program, SOON, || {
                if child.try_wait().unwrap().is_some() {
                    return Some(false);
                }
                let answer = Request::new(address, "GET", "/v2/").exchange().ok()?;
                Some(answer.header("x-proxy") == Some(program))
            });
            let mut proxy = Self { child, address };
            if listens && proxy.child.try_wait().unwrap().is_none() {
                return Some(proxy);
            }
        }
        let log = std::fs::read_to_string(directory.join("log")).unwrap();
        panic!("{program} does not listen: {log}");
    }

    /// Somebody else's request, on the connections that an attack may have left.
    fn victim(&self, target: &str) -> Answer {
        until("an answer for somebody else", SOON, || {
            let mut wire = Wire::connect(self.address);
            wire.write(format!(
                "GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            ));
            let answer = wire.try_answer("GET").ok()?;
            // The registry closed the connection meanwhile.
            (![502, 503].contains(&answer.status)).then_some(answer)
        })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

pub(crate) type Config = fn(&Path, SocketAddr, SocketAddr) -> String;

/// Where system programs live, too.
fn path() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/sbin:/sbin")
}

/// Everything of the corpus, each with the smuggled request inside or behind it.
fn payloads() -> Vec<String> {
    let chunked = "Transfer-Encoding: chunked";
    let mut all: Vec<String> = Vec::new();
    all.extend(LENGTHS.iter().map(|(headers, body)| upload(headers, body)));
    all.extend(CODINGS.iter().map(|headers| upload(headers, HELLO)));
    all.extend(CHUNKS.iter().map(|chunks| upload(chunked, chunks)));
    all.extend(heads());
    for payload in &mut all {
        payload.push_str(SMUGGLED);
    }
    // Within what one of two readings takes for the body.
    let ended = format!("0\r\n\r\n{SMUGGLED}");
    let chunk = format!("{:x}\r\n{SMUGGLED}\r\n0\r\n\r\n", SMUGGLED.len());
    for coding in CODINGS.iter().chain(&[chunked]) {
        for body in [&ended, &chunk] {
            let length = format!("Content-Length: {}", body.len());
            all.push(upload(&format!("{length}\r\n{coding}"), body));
            all.push(upload(&format!("{coding}\r\n{length}"), body));
        }
        all.push(upload(&format!("{coding}\r\nContent-Length: 4"), &chunk));
    }
    for (length, _) in LENGTHS.iter().filter(|(length, _)| !length.contains('T')) {
        all.push(upload(length, SMUGGLED));
        let whole = format!("Content-Length: {}\r\n{length}", SMUGGLED.len());
        all.push(upload(&whole, SMUGGLED));
    }
    let get =
        |headers: &str| format!("GET /v2/ HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n{SMUGGLED}");
    all.push(get(&format!("Content-Length: {}", SMUGGLED.len())));
    all.push(get("Content-Length: 5\r\nTransfer-Encoding: chunked"));
    all
}

fn check(program: &str, words: &[&str], config: Config) {
    let registry = Registry::start();
    let bytes = noise("somebody else", 30_000);
    let digest = registry.push_blob("victim", &bytes);
    let target = format!("/v2/victim/blobs/{digest}");
    let Some(proxy) = Proxy::start(&registry, program, words, config) else {
        return;
    };
    assert_eq!(proxy.victim(&target).expect(200).body, bytes);
    let before = registry.log().len();
    let all = payloads();
    for payload in &all {
        let mut wire = Wire::connect(proxy.address);
        wire.try_write(payload);
        let reply = wire.read_all(SILENCE);
        // One for the payload, one for what follows where that counts as a request of its own.
        assert!(reply.statuses().len() <= 2, "{payload:?}: {}", reply.text());
        for _ in 0..2 {
            let answer = proxy.victim(&target).expect(200);
            assert!(answer.body == bytes, "{payload:?}: another's answer");
        }
    }
    registry.wait_for_log("user_agent=\"proxied\"");
    let log = registry.log();
    let requests = log[before..]
        .lines()
        .filter(|line| line.contains("user_agent=\""));
    let mut forwarded = 0;
    for line in requests {
        assert!(line.contains("user_agent=\"proxied\""), "unseen: {line}");
        forwarded += 1;
    }
    println!(
        "{program}: {} payloads, {forwarded} requests forwarded",
        all.len()
    );
    assert!(forwarded >= 2 * all.len());
    assert_eq!(registry.get(&target).send().expect(200).body, bytes);
}

#[test]
fn behind_nginx_no_request_is_smuggled() {
    check("nginx", &["-e", "stderr", "-c"], |directory, at, to| {
        let here = directory.display();
        format!(
            "daemon off; master_process off; pid {here}/pid; error_log stderr crit;
             events {{ worker_connections 256; }}
             http {{
                 access_log off; client_max_body_size 0;
                 client_body_temp_path {here}/body; proxy_temp_path {here}/proxy;
                 fastcgi_temp_path {here}/fastcgi; uwsgi_temp_path {here}/uwsgi;
                 scgi_temp_path {here}/scgi;
                 upstream registry {{ server {to}; keepalive 1; }}
                 server {{
                     listen {at};
                     location / {{
                         proxy_pass http://registry; proxy_http_version 1.1;
                         proxy_request_buffering off; proxy_buffering off;
                         proxy_set_header Connection \"\"; proxy_set_header Host $http_host;
                         proxy_set_header User-Agent proxied;
                         add_header X-Proxy nginx always;
                     }}
                 }}
             }}\n"
        )
    });
}

#[test]
fn behind_haproxy_no_request_is_smuggled() {
    check("haproxy", &["-db", "-f"], |_, at, to| {
        format!(
            "global
  nbthread 1
defaults
  mode http
  timeout connect 20s
  timeout client 60s
  timeout server 60s
  option http-keep-alive
  http-reuse always
  retry-on conn-failure empty-response
frontend front
  bind {at}
  http-request set-header User-Agent proxied
  http-response set-header X-Proxy haproxy
  default_backend registry
backend registry
  server one {to}\n"
        )
    });
}
