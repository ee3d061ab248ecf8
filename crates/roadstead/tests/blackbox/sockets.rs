//! Where connections come from: TCP, a unix socket, and a socket that systemd passes on.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::json;

use crate::harness::{Answer, Builder, Image, Registry, SOON};

/// Speaks HTTP to a unix socket.
fn get_at(socket: &Path, target: &str) -> Answer {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    write!(stream, "GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    Answer::read(&mut stream, "GET", target).unwrap()
}

#[test]
fn a_unix_socket_serves_and_goes_with_the_process() {
    let builder = Builder::new();
    let socket = builder.path("roadstead.sock");
    let builder = builder.config(json!({ "http": { "net": "unix", "addr": socket } }));
    let mut registry = builder.clone().start();
    get_at(&socket, "/v2/").expect(200);
    get_at(&socket, "/v2/app/tags/list").expect(404);
    // Somebody listens there.
    let other = builder.path("other");
    let storage = json!({ "storage": { "filesystem": { "rootdirectory": other } } });
    let said = builder.clone().config(storage).refused();
    assert!(said[0].contains("another process"), "{said:?}");
    get_at(&socket, "/v2/").expect(200);
    // A socket that was left by a crash is in nobody's way.
    registry.kill_9();
    assert!(socket.exists());
    let mut registry = builder.clone().start();
    get_at(&socket, "/v2/").expect(200);
    assert!(registry.terminate().success());
    assert!(!socket.exists());
    // Any other file is.
    std::fs::write(&socket, "precious").unwrap();
    let said = builder.refused();
    assert!(said[0].contains("a file that is no socket"), "{said:?}");
    assert_eq!(std::fs::read_to_string(&socket).unwrap(), "precious");
}

/// Listens as systemd does, passes the socket on as file 3, and becomes the registry.
const ACTIVATE: &str = r#"
use Socket;
use POSIX ();
$^F = 20;
my @sockets;
for my $number (1 .. shift @ARGV) {
    socket(my $socket, PF_INET, SOCK_STREAM, 0) or die "socket: $!";
    bind($socket, sockaddr_in(0, INADDR_LOOPBACK)) or die "bind: $!";
    listen($socket, 128) or die "listen: $!";
    my ($port) = sockaddr_in(getsockname($socket));
    print STDERR "passed 127.0.0.1:$port\n";
    push @sockets, $socket;
}
my $next = 3;
for my $socket (@sockets) {
    POSIX::dup2(fileno($socket), $next) if fileno($socket) != $next;
    $next++;
}
$ENV{LISTEN_PID} = $$;
$ENV{LISTEN_FDS} = scalar @sockets;
exec @ARGV or die "exec: $!";
"#;

#[test]
fn a_socket_from_systemd_takes_the_place_of_the_configured_one() {
    let builder = Builder::new().through(&["perl", "-e", ACTIVATE, "1"]);
    let unused = builder.path("unused.sock");
    let mut registry = builder
        .env("REGISTRY_HTTP_NET", "unix")
        .env("REGISTRY_HTTP_ADDR", &unused.display().to_string())
        .start();
    let passed = registry.wait_for_log("passed ");
    assert_eq!(passed, format!("passed {}", registry.address()));
    registry.push_image("app", "v1", &Image::new("activated"));
    assert!(!unused.exists());
    assert!(registry.terminate().success());
}

#[test]
fn more_than_one_socket_from_systemd_is_an_error() {
    let said = Builder::new()
        .through(&["perl", "-e", ACTIVATE, "2"])
        .refused();
    assert!(said[0].contains("2 sockets"), "{said:?}");
}

#[test]
fn an_address_that_is_taken_stops_the_start() {
    let registry = Registry::start();
    let address = registry.address().to_string();
    let said = Builder::new()
        .config(json!({ "http": { "addr": address } }))
        .refused();
    assert!(
        said[0].contains(&format!("cannot listen at {address}")),
        "{said:?}"
    );
}
