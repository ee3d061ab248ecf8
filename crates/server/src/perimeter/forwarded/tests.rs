use http::HeaderValue;
use proptest::prelude::*;

use super::*;

/// 10.0.0.0/8 is trusted.
fn is_trusted(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(address) if address.octets()[0] == 10)
}

fn said(lines: &[(&str, &[u8])]) -> Said {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_bytes(value).unwrap());
    }
    read(&headers, is_trusted)
}

fn client(lines: &[(&str, &str)]) -> Hop {
    let lines: Vec<_> = lines
        .iter()
        .map(|(name, value)| (*name, value.as_bytes()))
        .collect();
    said(&lines).client
}

fn ip(text: &str) -> Hop {
    Hop::Address(text.parse().unwrap())
}

#[test]
fn the_client_is_the_first_from_the_right_that_is_not_trusted() {
    for (value, expected) in [
        ("192.0.2.1", ip("192.0.2.1")),
        ("198.51.100.9, 192.0.2.1", ip("192.0.2.1")),
        ("198.51.100.9, 192.0.2.1, 10.0.0.1", ip("192.0.2.1")),
        (
            "198.51.100.9,192.0.2.1\t,\t10.0.0.1,10.2.3.4",
            ip("192.0.2.1"),
        ),
        ("10.0.0.2, 10.0.0.1", ip("10.0.0.2")),
        ("2001:db8::1", ip("2001:db8::1")),
        ("[2001:db8::1]", ip("2001:db8::1")),
        ("[2001:db8::1]:443", ip("2001:db8::1")),
        ("192.0.2.1:443", ip("192.0.2.1")),
        ("::ffff:192.0.2.1", ip("192.0.2.1")),
        ("192.0.2.1, ::ffff:10.0.0.1", ip("192.0.2.1")),
        // What a client writes to the left neither counts nor disturbs.
        ("garbage, 192.0.2.1", ip("192.0.2.1")),
        ("\", 192.0.2.1, 10.0.0.1", ip("192.0.2.1")),
        (", , 192.0.2.1", ip("192.0.2.1")),
        // What a proxy writes must be an address.
        ("192.0.2.1, garbage", Hop::Unknown),
        ("192.0.2.1, garbage, 10.0.0.1", Hop::Unknown),
        ("192.0.2.1,", Hop::Unknown),
        ("", Hop::Unknown),
        ("unknown", Hop::Unknown),
        ("192.0.2.1:99999", Hop::Unknown),
        ("192.0.2.1:", Hop::Unknown),
        ("192.0.2.01", Hop::Unknown),
        ("[192.0.2.1]", Hop::Unknown),
        ("r.example", Hop::Unknown),
    ] {
        assert_eq!(client(&[("x-forwarded-for", value)]), expected, "{value:?}");
    }
}

#[test]
fn lines_are_one_list() {
    let lines = [
        ("x-forwarded-for", "198.51.100.9"),
        ("x-forwarded-for", "192.0.2.1, 10.0.0.1"),
        ("x-forwarded-for", "10.0.0.2"),
    ];
    assert_eq!(client(&lines), ip("192.0.2.1"));
    let lines = [
        ("forwarded", "for=192.0.2.1"),
        ("forwarded", "for=10.0.0.2"),
    ];
    assert_eq!(client(&lines), ip("192.0.2.1"));
    let bytes = [("x-forwarded-for", &b"\xff, 192.0.2.1"[..])];
    assert_eq!(said(&bytes).client, ip("192.0.2.1"));
}

#[test]
fn the_standard_header_is_read_as_the_standard_says() {
    for (value, expected) in [
        ("for=192.0.2.1", ip("192.0.2.1")),
        ("For=\"192.0.2.1:47011\"", ip("192.0.2.1")),
        ("for=192.0.2.1;proto=http;by=203.0.113.43", ip("192.0.2.1")),
        ("for=198.51.100.17, for=192.0.2.43", ip("192.0.2.43")),
        ("for=192.0.2.43, for=10.0.0.1;by=10.0.0.2", ip("192.0.2.43")),
        ("for=\"[2001:db8:cafe::17]:4711\"", ip("2001:db8:cafe::17")),
        ("for=\"[2001:db8::1]:_port\"", ip("2001:db8::1")),
        ("for=\"\\192.0.2.1\"", ip("192.0.2.1")),
        (" for=192.0.2.1 ; by=x , for=10.0.0.1 ", ip("192.0.2.1")),
        (
            "for=198.51.100.9;proto=\"a,b;for=c\", for=192.0.2.1",
            ip("192.0.2.1"),
        ),
        ("by=10.0.0.1", Hop::NotSaid),
        ("for=192.0.2.1, by=10.0.0.1", Hop::NotSaid),
        ("for=198.51.100.9, by=x, for=10.0.0.1", Hop::Unknown),
        ("", Hop::NotSaid),
        ("for=unknown", Hop::Unknown),
        ("for=_hidden", Hop::Unknown),
        ("for=198.51.100.9, for=_hidden, for=10.0.0.1", Hop::Unknown),
        ("for=2001:db8::1", Hop::Unknown),
        ("for=\"2001:db8::1\"", Hop::Unknown),
        ("for=192.0.2.1;for=192.0.2.1", Hop::Unknown),
        ("for=\"192.0.2.1", Hop::Unknown),
        ("for=\"192.0.2.1, for=10.0.0.1", Hop::Unknown),
        ("for=", Hop::Unknown),
        ("for", Hop::Unknown),
        ("for =192.0.2.1", Hop::Unknown),
        ("for= 192.0.2.1", Hop::Unknown),
        ("for=192.0.2.1 by=x", Hop::Unknown),
        ("=192.0.2.1", Hop::Unknown),
        ("for=\"192.0.2.1\"x", Hop::Unknown),
        ("for=\"192.0.2.1\\", Hop::Unknown),
    ] {
        assert_eq!(client(&[("forwarded", value)]), expected, "{value:?}");
    }
}

#[test]
fn two_kinds_of_headers_must_say_the_same() {
    let both = |standard: &str, listed: &str| {
        client(&[("forwarded", standard), ("x-forwarded-for", listed)])
    };
    assert_eq!(both("for=192.0.2.1", "192.0.2.1"), ip("192.0.2.1"));
    assert_eq!(both("proto=https", "192.0.2.1"), ip("192.0.2.1"));
    assert_eq!(both("for=198.51.100.9", "192.0.2.1"), Hop::Unknown);
    assert_eq!(both("for=\"", "192.0.2.1"), Hop::Unknown);
    assert_eq!(both("for=192.0.2.1", "x"), Hop::Unknown);
    assert_eq!(client(&[]), Hop::NotSaid);
}

#[test]
fn scheme_and_host_are_one_value_or_none() {
    let https = Some(Scheme::Https);
    for (lines, scheme, host) in [
        (vec![("x-forwarded-proto", "https")], https, None),
        (vec![("x-forwarded-proto", " HTTPS ")], https, None),
        (
            vec![("x-forwarded-proto", "http")],
            Some(Scheme::Http),
            None,
        ),
        (vec![("x-forwarded-proto", "ftp")], None, None),
        (vec![("x-forwarded-proto", "https, http")], None, None),
        (
            vec![
                ("x-forwarded-proto", "https"),
                ("x-forwarded-proto", "https"),
            ],
            None,
            None,
        ),
        (
            vec![("x_forwarded_proto", "https"), ("x_forwarded_host", "a")],
            None,
            None,
        ),
        (
            vec![("x-forwarded-host", "r.example")],
            None,
            Some("r.example"),
        ),
        (
            vec![("x-forwarded-host", "my_registry:65535")],
            None,
            Some("my_registry:65535"),
        ),
        (
            vec![("x-forwarded-host", "[::1]:5000")],
            None,
            Some("[::1]:5000"),
        ),
        (vec![("x-forwarded-host", "[::1]")], None, Some("[::1]")),
        (vec![("x-forwarded-host", "a, b")], None, None),
        (
            vec![("x-forwarded-host", "a"), ("x-forwarded-host", "a")],
            None,
            None,
        ),
        (vec![("x-forwarded-host", "a:0")], None, None),
        (vec![("x-forwarded-host", "a:65536")], None, None),
        (vec![("x-forwarded-host", "a:080")], None, None),
        (vec![("x-forwarded-host", "a:")], None, None),
        (vec![("x-forwarded-host", "a:1:2")], None, None),
        (vec![("x-forwarded-host", "user@a")], None, None),
        (vec![("x-forwarded-host", "a/b")], None, None),
        (vec![("x-forwarded-host", "a b")], None, None),
        (vec![("x-forwarded-host", "a..b")], None, None),
        (vec![("x-forwarded-host", "-a")], None, None),
        (vec![("x-forwarded-host", "[::1]x")], None, None),
        (vec![("x-forwarded-host", "[a]")], None, None),
        (vec![("x-forwarded-host", "")], None, None),
        (
            vec![("forwarded", "proto=https;host=\"a:1\"")],
            https,
            Some("a:1"),
        ),
        (
            vec![("forwarded", "for=192.0.2.1;proto=https;host=a")],
            https,
            Some("a"),
        ),
        (vec![("forwarded", "proto=ftp;host=a")], None, Some("a")),
        (vec![("forwarded", "proto=https;proto=https")], None, None),
        // That of the outermost proxy that is trusted.
        (
            vec![(
                "forwarded",
                "for=1.2.3.4;proto=ftp;host=evil, for=192.0.2.1;proto=https;host=a, for=10.0.0.1;proto=http;host=b",
            )],
            https,
            Some("a"),
        ),
        (
            vec![(
                "forwarded",
                "proto=https;host=evil, for=192.0.2.1;proto=http",
            )],
            Some(Scheme::Http),
            None,
        ),
        (
            vec![
                ("forwarded", "proto=https;host=a"),
                ("x-forwarded-proto", "http"),
                ("x-forwarded-host", "a"),
            ],
            None,
            Some("a"),
        ),
        (
            vec![("forwarded", "\""), ("x-forwarded-proto", "https")],
            None,
            None,
        ),
    ] {
        let bytes: Vec<_> = lines
            .iter()
            .map(|(name, value)| (*name, value.as_bytes()))
            .collect();
        let said = said(&bytes);
        assert_eq!(
            (said.scheme, said.host.as_deref()),
            (scheme, host),
            "{lines:?}"
        );
    }
}

proptest! {
    #[test]
    fn a_client_cannot_appear_to_be_another(
        own in "[ -~\t]{0,60}",
        standard: bool,
        proxies in prop::collection::vec(any::<[u8; 3]>(), 0..3),
    ) {
        // What it sent, and behind it what trusted proxies have added.
        let mut list = own;
        let hops = std::iter::once("192.0.2.1".to_owned())
            .chain(proxies.iter().map(|[a, b, c]| format!("10.{a}.{b}.{c}")));
        for hop in hops {
            list = if standard { format!("{list}, for={hop}") } else { format!("{list}, {hop}") };
        }
        let name = if standard { "forwarded" } else { "x-forwarded-for" };
        let found = client(&[(name, &list)]);
        let expected = [ip("192.0.2.1"), Hop::Unknown];
        prop_assert!(found == expected[0] || (standard && found == expected[1]), "{list:?} {found:?}");
    }

    #[test]
    fn what_counts_is_valid_for_any_bytes(
        lines in prop::collection::vec(
            (
                prop::sample::select(vec!["forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"]),
                "(for=|proto=|host=|https?|[0-9a-f.:\\[\\]]{1,9}|[;,\" \\\\]|[ -~])*",
            ),
            0..4,
        ),
    ) {
        let bytes: Vec<_> = lines.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        if let Some(host) = said(&bytes).host {
            let uri: http::Uri = format!("https://{host}/").parse().unwrap();
            prop_assert_eq!(uri.authority().unwrap().as_str(), host);
        }
    }
}
