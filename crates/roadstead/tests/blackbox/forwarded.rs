//! Cases 80 and 81 (R23): what a request says of where it comes from counts from trusted proxies
//! alone.

use std::net::SocketAddr;

use serde_json::json;

use crate::harness::{Answer, Registry, Request, Wire};
use crate::proxies::Proxy;

/// Starts an upload with these headers, and says where it is to go on.
fn location(registry: &Registry, headers: &[(&str, &str)]) -> String {
    let mut request = registry.post("/v2/team/app/blobs/uploads/");
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    request.send().expect(202).need("location").to_owned()
}

/// A request that the log names by its target; returns the line.
fn logged(registry: &Registry, tag: &str, headers: &[(&str, &str)]) -> String {
    let mut request = registry.get(format!("/v2/team/app/manifests/{tag}"));
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    request.send().expect(404);
    registry.wait_for_log(&format!("reference=\"{tag}\""))
}

const SPOOFED: [&[(&str, &str)]; 6] = [
    &[("Host", "evil.example")],
    &[
        ("X-Forwarded-Proto", "ftp"),
        ("X-Forwarded-Host", "evil.example"),
    ],
    &[
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "evil.example"),
    ],
    &[("Forwarded", "for=203.0.113.9;proto=https;host=evil.example")],
    &[
        ("X-Forwarded-For", "203.0.113.9"),
        ("X-Real-IP", "203.0.113.9"),
    ],
    &[
        ("X_Forwarded_Proto", "https"),
        ("X_Forwarded_Host", "evil.example"),
    ],
];

/// Case 80.
#[test]
fn nobody_is_believed_by_default() {
    let registries = [
        Registry::start(),
        // Somebody else is trusted.
        Registry::configured(
            json!({ "http": { "proxies": { "trusted": ["192.0.2.0/24", "unix"] } } }),
        ),
    ];
    for registry in &registries {
        for (number, headers) in SPOOFED.iter().enumerate() {
            let location = location(registry, headers);
            assert!(
                location.starts_with("/v2/team/app/blobs/uploads/"),
                "{location}"
            );
            let line = logged(registry, &format!("t{number}"), headers);
            assert!(line.contains("address=\"127.0.0.1:"), "{line}");
        }
    }
}

#[test]
fn a_configured_host_wins_over_everything() {
    let trusting = json!({ "trusted": ["127.0.0.1"] });
    let registry = Registry::configured(
        json!({ "http": { "host": "https://registry.test/x", "proxies": trusting } }),
    );
    let relative =
        Registry::configured(json!({ "http": { "relativeurls": true, "proxies": trusting } }));
    for headers in SPOOFED {
        let location = location(&registry, headers);
        assert!(
            location.starts_with("https://registry.test/x/v2/team/app/"),
            "{location}"
        );
        let location = self::location(&relative, headers);
        assert!(location.starts_with("/v2/team/app/"), "{location}");
    }
}

/// Case 81.
#[test]
fn a_trusted_proxy_is_believed_where_it_is_clear() {
    let registry = Registry::configured(
        json!({ "http": { "prefix": "/reg/", "proxies": { "trusted": ["127.0.0.0/8"] } } }),
    );
    let post = |headers: &[(&str, &str)]| {
        let mut request = registry.post("/reg/v2/team/app/blobs/uploads/");
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        request.send().expect(202).need("location").to_owned()
    };
    let absolute = "https://r.example:5443/reg/v2/team/app/blobs/uploads/";
    let relative = "/reg/v2/team/app/blobs/uploads/";
    let (proto, host) = ("X-Forwarded-Proto", "X-Forwarded-Host");
    for (headers, expected) in [
        (vec![(proto, "https"), (host, "r.example:5443")], absolute),
        (
            vec![("Forwarded", "proto=https;host=\"r.example:5443\"")],
            absolute,
        ),
        (
            vec![(
                "Forwarded",
                "host=evil, for=203.0.113.9;proto=https;host=\"r.example:5443\", for=127.0.0.9",
            )],
            absolute,
        ),
        (vec![], relative),
        (vec![(proto, "https")], relative),
        (vec![(host, "r.example:5443")], relative),
        (
            vec![(proto, "https, http"), (host, "r.example:5443")],
            relative,
        ),
        (
            vec![(proto, "https"), (proto, "https"), (host, "r.example:5443")],
            relative,
        ),
        (vec![(proto, "ftp"), (host, "r.example:5443")], relative),
        (
            vec![(proto, "https"), (host, "r.example:5443, evil")],
            relative,
        ),
        (vec![(proto, "https"), (host, "r.example:65536")], relative),
        (vec![(proto, "https"), (host, "r.example:0")], relative),
        (vec![(proto, "https"), (host, "r.example/evil")], relative),
        (vec![(proto, "https"), (host, "u@r.example")], relative),
        (
            vec![
                ("X_Forwarded_Proto", "https"),
                ("X_Forwarded_Host", "r.example"),
            ],
            relative,
        ),
        (
            vec![
                ("Forwarded", "proto=https;host=\"r.example"),
                (proto, "https"),
                (host, "r.example"),
            ],
            relative,
        ),
        (
            vec![
                ("Forwarded", "proto=http"),
                (proto, "https"),
                (host, "r.example"),
            ],
            relative,
        ),
    ] {
        let location = post(&headers);
        assert!(location.starts_with(expected), "{headers:?}: {location}");
    }
}

#[test]
fn the_client_of_a_trusted_proxy_is_in_the_log() {
    let registry = Registry::configured(
        json!({ "http": { "proxies": { "trusted": ["127.0.0.0/8", "10.0.0.0/8"] } } }),
    );
    for (number, (headers, expected)) in [
        (
            vec![("X-Forwarded-For", "198.51.100.1, 203.0.113.9, 10.0.0.1")],
            "203.0.113.9",
        ),
        (
            vec![("Forwarded", "for=\"[2001:db8::1]:443\"")],
            "2001:db8::1",
        ),
        (vec![("X-Forwarded-For", "garbage")], "unknown"),
        (
            vec![
                ("X-Forwarded-For", "203.0.113.9"),
                ("Forwarded", "for=198.51.100.1"),
            ],
            "unknown",
        ),
        (vec![], "127.0.0.1:"),
    ]
    .into_iter()
    .enumerate()
    {
        let line = logged(&registry, &format!("t{number}"), &headers);
        let address = format!("address=\"{expected}");
        assert!(line.contains(&address), "{headers:?}: {line}");
    }
}

/// A connection from another address of this machine.
fn connect_from(from: [u8; 4], to: SocketAddr) -> Wire {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    Wire::over(socket.into()).unwrap()
}

/// Asks through the proxy, from 127.0.0.2, as somebody who says to be another.
fn through(proxy: &Proxy, target: &str, method: &str) -> Answer {
    let mut wire = connect_from([127, 0, 0, 2], proxy.address);
    wire.write(format!(
        "{method} {target} HTTP/1.1\r\nHost: r.example\r\nConnection: close\r\nContent-Length: 0\r\n\
         X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Host: evil.example\r\n\
         X-Forwarded-Proto: ftp\r\n\r\n"
    ));
    wire.answer(method)
}

fn check_behind(program: &str, words: &[&str], config: crate::proxies::Config) {
    let registry =
        Registry::configured(json!({ "http": { "proxies": { "trusted": ["127.0.0.1"] } } }));
    let Some(proxy) = Proxy::start(&registry, program, words, config) else {
        return;
    };
    through(&proxy, "/v2/team/app/manifests/here", "GET").expect(404);
    let line = registry.wait_for_log("reference=\"here\"");
    assert!(line.contains("address=\"127.0.0.2\""), "{line}");
    let answer = through(&proxy, "/v2/team/app/blobs/uploads/", "POST").expect(202);
    let location = answer.need("location");
    assert!(
        location.starts_with("https://r.example/v2/team/app/"),
        "{location}"
    );
    // Past the proxy nobody is believed, from whatever address they come.
    let mut wire = connect_from([127, 0, 0, 2], registry.address());
    wire.write(
        "GET /v2/team/app/manifests/past HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         X-Forwarded-For: 203.0.113.9\r\n\r\n",
    );
    wire.answer("GET").expect(404);
    let line = registry.wait_for_log("reference=\"past\"");
    assert!(line.contains("address=\"127.0.0.2:"), "{line}");
    Request::new(registry.address(), "GET", "/v2/")
        .send()
        .expect(200);
}

#[test]
fn behind_nginx_the_client_is_known() {
    check_behind("nginx", &["-e", "stderr", "-c"], |directory, at, to| {
        let here = directory.display();
        format!(
            "daemon off; master_process off; pid {here}/pid; error_log stderr crit;
             events {{ worker_connections 256; }}
             http {{
                 access_log off;
                 client_body_temp_path {here}/body; proxy_temp_path {here}/proxy;
                 fastcgi_temp_path {here}/fastcgi; uwsgi_temp_path {here}/uwsgi;
                 scgi_temp_path {here}/scgi;
                 server {{
                     listen {at};
                     location / {{
                         proxy_pass http://{to};
                         proxy_set_header Host $http_host;
                         proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
                         proxy_set_header X-Forwarded-Proto https;
                         proxy_set_header X-Forwarded-Host $http_host;
                         add_header X-Proxy nginx always;
                     }}
                 }}
             }}\n"
        )
    });
}

#[test]
fn behind_haproxy_the_client_is_known() {
    check_behind("haproxy", &["-db", "-f"], |_, at, to| {
        format!(
            "global
  nbthread 1
defaults
  mode http
  timeout connect 20s
  timeout client 60s
  timeout server 60s
  retry-on conn-failure empty-response
frontend front
  bind {at}
  option forwardfor
  http-request set-header X-Forwarded-Proto https
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-response set-header X-Proxy haproxy
  default_backend registry
backend registry
  server one {to}\n"
        )
    });
}
