//! What a request-smuggling attack is made of (cases 90 and 91; R24), for the registry alone and behind
//! proxies.

/// A body in chunks that says `hello`.
pub(crate) const HELLO: &str = "5\r\nhello\r\n0\r\n\r\n";

/// Headers that say a length twice, or none that is one, and a body.
pub(crate) const LENGTHS: &[(&str, &str)] = &[
    ("Content-Length: 5\r\nTransfer-Encoding: chunked", HELLO),
    ("Content-Length: 0\r\nTransfer-Encoding: chunked", HELLO),
    (
        "content-length: 15\r\nX: y\r\ntransfer-encoding: chunked",
        HELLO,
    ),
    ("Content-Length: 5\r\nContent-Length: 6", "hello!"),
    ("Content-Length: 6\r\nContent-Length: 5", "hello!"),
    ("Content-Length: 0\r\nContent-Length: 5", "hello"),
    ("Content-Length: 5, 6", "hello!"),
    ("Content-Length: 5,5", "hello"),
    ("Content-Length: 5, 5", "hello"),
    ("Content-Length: +5", "hello"),
    ("Content-Length: -5", "hello"),
    ("Content-Length: 0x5", "hello"),
    ("Content-Length: 5.0", "hello"),
    ("Content-Length: 5e0", "hello"),
    ("Content-Length: 5 5", "hello"),
    ("Content-Length: five", "hello"),
    ("Content-Length: ", "hello"),
    ("Content-Length: \"5\"", "hello"),
    ("Content-Length: 5;", "hello"),
    ("Content-Length: 99999999999999999999", "hello"),
    ("Content-Length: 18446744073709551616", "hello"),
];

/// Headers of another coding than chunked.
pub(crate) const CODINGS: &[&str] = &[
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding: chunkedx",
    "Transfer-Encoding: x chunked",
    "Transfer-Encoding: identity",
    "Transfer-Encoding: gzip",
    "Transfer-Encoding: chunked, gzip",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: chunked, chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip",
    "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
    "Transfer-Encoding: \x0bchunked",
    "Transfer-Encoding: \"chunked\"",
    "Transfer-Encoding: chunked;q=1",
    "Transfer-Encoding:",
    "Transfer-Encoding : chunked",
    "Transfer-Encoding\t: chunked",
    "Transfer-Encoding:\r\n chunked",
    "Transfer_Encoding: chunked\r\nTransfer-Encoding: cow",
];

/// Bodies in chunks that are none.
pub(crate) const CHUNKS: &[&str] = &[
    "x\r\nhello\r\n0\r\n\r\n",
    "-1\r\nhello\r\n0\r\n\r\n",
    "+5\r\nhello\r\n0\r\n\r\n",
    "0x5\r\nhello\r\n0\r\n\r\n",
    " 5\r\nhello\r\n0\r\n\r\n",
    "\r\nhello\r\n0\r\n\r\n",
    "5.\r\nhello\r\n0\r\n\r\n",
    "5_\r\nhello\r\n0\r\n\r\n",
    "10000000000000005\r\nhello\r\n0\r\n\r\n",
    "ffffffffffffffff1\r\nhello\r\n0\r\n\r\n",
    "5\rhello\r\n0\r\n\r\n",
    "5\r\nhelloX\r\n0\r\n\r\n",
    "4\r\nhello\r\n0\r\n\r\n",
    "5\r\nhello0\r\n\r\n",
    "5\r\nhello\r\n0\r\nX: y\x00z\r\n\r\n\r\nx",
    "5;a=\x00\r\nhello\r\nz",
];

/// Heads that cannot be read, or could be in two ways.
pub(crate) fn heads() -> Vec<String> {
    let get = |headers: &str| format!("GET /v2/ HTTP/1.1\r\n{headers}\r\n\r\n");
    vec![
        // Folded lines.
        get("Host: x\r\nX: a\r\n b"),
        get("Host: x\r\nX: a\r\n\tb"),
        get("Host: x\r\nX:\r\n b"),
        get(" Host: x"),
        // Space before the colon, or a name that is none.
        get("Host : x"),
        get("Host: x\r\nX : y"),
        get("Host: x\r\nX\t: y"),
        get("Host: x\r\nX Y: z"),
        get("Host: x\r\n: y"),
        get("Host: x\r\nno colon"),
        get("Host: x\r\nX\u{e9}: y"),
        get("Host: x\r\n(X): y"),
        // Control characters.
        get("Host: x\r\nX: a\x00b"),
        get("Host: x\r\nX\x00: b"),
        get("Host: x\r\nX: a\x08b"),
        get("Host: x\r\nX: a\rb"),
        get("Host: x\r\nX: a\x7fb"),
        // No Host, two Hosts.
        get("X: y"),
        get("Host: x\r\nHost: y"),
        get("Host: x\r\nHost: x"),
        get("host: x\r\nHOST: y"),
        // Request lines that are none.
        "GET  /v2/ HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "GET /v2/  HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "GET /v2/ x HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "GET\t/v2/\tHTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "GET /v2/\x00 HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "GET /v2/ HTTP/1.1x\r\nHost: x\r\n\r\n".to_owned(),
        "GET /v2/ HTTP/9.1\r\nHost: x\r\n\r\n".to_owned(),
        "GET /v2/ HTTP/1.\r\nHost: x\r\n\r\n".to_owned(),
        "GET /v2/ http/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "GET /v2/\r\nHost: x\r\n\r\n".to_owned(),
        "G(T /v2/ HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "\x16\x03\x01\x02\x00\x01\x00\x01\u{fc}\x03\x03 TLS\r\n\r\n".to_owned(),
        "EHLO example\r\n\r\n".to_owned(),
    ]
}

/// Requests that begin an upload: their bodies reach a handler.
pub(crate) fn upload(headers: &str, body: &str) -> String {
    format!("POST /v2/app/blobs/uploads/ HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n{body}")
}
