use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn problem(document: &[u8]) -> String {
    read(document).unwrap_err().to_string()
}

#[test]
fn a_key_given_twice_is_refused_however_it_is_spelt() {
    for document in [
        r#"{"a":1,"a":1}"#,
        r#"{"a":1,"b":2,"a":null}"#,
        r#"{"layers":1,"la\u0079ers":2}"#,
        r#"[[{"x":{"":1,"":2}}]]"#,
    ] {
        assert!(problem(document.as_bytes()).contains("twice"), "{document}");
    }
    assert!(read(br#"{"a":{"a":1},"A":[{"a":1},{"a":2}]}"#).is_ok());
    let long = "k".repeat(1 << 20);
    let document = format!(r#"{{"{long}":1,"{long}":2}}"#);
    assert!(problem(document.as_bytes()).len() < 200);
}

#[test]
fn numbers_are_sizes_only_where_they_are_whole_and_fit() {
    for (text, expected) in [
        ("0", Some(Json::Size(0))),
        ("9223372036854775807", Some(Json::Size(i64::MAX as u64))),
        ("9223372036854775808", Some(Json::Number)),
        ("18446744073709551616", Some(Json::Number)),
        ("-1", Some(Json::Number)),
        ("-0", Some(Json::Number)),
        ("1.0", Some(Json::Number)),
        ("1e3", Some(Json::Number)),
        ("1e999", None),
        ("01", None),
        ("+1", None),
        (".5", None),
        ("0x10", None),
        ("NaN", None),
        ("Infinity", None),
    ] {
        assert_eq!(read(text.as_bytes()).ok(), expected, "{text}");
    }
}

#[test]
fn text_is_utf_8_without_lone_surrogates() {
    for (document, good) in [
        (&br#""\ud83d\ude00""#[..], true),
        (br#""\ud83d""#, false),
        (br#""\ude00""#, false),
        (br#""\ude00\ud83d""#, false),
        (br#"{"\ud800":1}"#, false),
        (br#"["\u0000"]"#, true),
        (b"\"\xff\"", false),
        (b"\"\xc0\x80\"", false),
        (b"\"\xed\xa0\x80\"", false),
        (b"\"\n\"", false),
        (b"\xef\xbb\xbf1", false),
        (b"\xff\xfe1\0", false),
        (b" \t\r\n1 \t\r\n", true),
        (b"1 \x0c", false),
        (b"1\0", false),
        (b"1 2", false),
        (b"[1,]", false),
        (b"// c\n1", false),
    ] {
        let shown = String::from_utf8_lossy(document);
        assert_eq!(read(document).is_ok(), good, "{shown}");
    }
}

#[test]
fn values_and_nesting_are_bounded() {
    // Few lists of the allowed length, so that only the number of all values is too large.
    let list = format!("[{}]", vec!["0"; ITEMS_MAX].join(","));
    let document = format!(
        "[{}]",
        vec![list.as_str(); VALUES_MAX / ITEMS_MAX].join(",")
    );
    assert!(problem(document.as_bytes()).contains("values"));
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested = |depth| format!("{}0{}", open.repeat(depth), close.repeat(depth));
        assert!(read(nested(DEPTH_MAX).as_bytes()).is_ok());
        for depth in [DEPTH_MAX + 1, 200_000] {
            assert!(problem(nested(depth).as_bytes()).contains("deeper"));
            assert!(read(open.repeat(depth).as_bytes()).is_err());
        }
    }
}

/// What `document` says, without what the strict reader forgets.
fn same(strict: &Json<'_>, lenient: &Value) -> bool {
    match (strict, lenient) {
        (Json::Null, Value::Null) | (Json::Bool, Value::Bool(_)) => true,
        (Json::Size(size), Value::Number(number)) => number.as_u64() == Some(*size),
        (Json::Number, Value::Number(number)) => number
            .as_u64()
            .is_none_or(|size| i64::try_from(size).is_err()),
        (Json::Text(text), Value::String(other)) => text == other,
        (Json::List(items), Value::Array(others)) => {
            items.len() == others.len() && items.iter().zip(others).all(|(a, b)| same(a, b))
        }
        (Json::Object(fields), Value::Object(others)) => {
            fields.len() == others.len()
                && fields
                    .iter()
                    .all(|(key, a)| others.get(&**key).is_some_and(|b| same(a, b)))
        }
        _ => false,
    }
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e9..1e9).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            proptest::collection::btree_map(any::<String>(), inner, 0..8)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_another_reader_writes_is_read_as_the_same(value in json()) {
        let document = value.to_string();
        prop_assert!(same(&read(document.as_bytes()).unwrap(), &value));
    }

    #[test]
    fn what_is_read_is_read_the_same_by_another_reader(
        document in "[\\[\\]{}:,\"ab0-9.eE+ -]{0,40}|(\\{\"a\":[0-9]{1,3}(,\"[ab]\":[0-9])?\\})"
    ) {
        if let Ok(strict) = read(document.as_bytes()) {
            prop_assert!(same(&strict, &serde_json::from_str(&document).unwrap()));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(document in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&document);
    }
}
