use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::strict_json;

const HEX: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn good() -> Value {
    json!({"mediaType": "a/b", "digest": format!("sha256:{HEX}"), "size": 3})
}

fn with(key: &str, value: Value) -> Value {
    let mut document = good();
    document[key] = value;
    document
}

fn read(document: &Value) -> Result<Descriptor, ManifestError> {
    let document = document.to_string();
    let json = strict_json::read(document.as_bytes())?;
    Descriptor::from_json(&json, "layers[7]")
}

#[test]
fn every_field_is_kept() {
    let mut document = good();
    document["urls"] = json!(["https://a/b", ""]);
    document["annotations"] = json!({"k": "v"});
    document["artifactType"] = json!("x/y");
    document["platform"] = json!({"os": "linux", "architecture": "arm64", "variant": "v8"});
    document["of no meaning"] = json!([{}]);
    let descriptor = read(&document).unwrap();
    assert_eq!(descriptor.media_type.as_str(), "a/b");
    assert_eq!(descriptor.digest.hex(), HEX);
    assert_eq!(descriptor.size, 3);
    assert_eq!(descriptor.urls, ["https://a/b", ""]);
    assert_eq!(descriptor.annotations["k"], "v");
    assert_eq!(descriptor.artifact_type.as_deref(), Some("x/y"));
    let platform = descriptor.platform.unwrap();
    assert_eq!((&*platform.os, &*platform.architecture), ("linux", "arm64"));
}

#[test]
fn embedded_data_is_base64_of_the_stated_size() {
    for (data, good) in [
        (json!("YWJj"), true),
        (Value::Null, true),
        (json!("YWI="), false),
        (json!(""), false),
        (json!("YWJjZA=="), false),
        (json!("YW Jj"), false),
        (json!("YWJj\n"), false),
        (json!("YWJ"), false),
        (json!("===="), false),
        (json!("YW_-"), false),
        (json!([1]), false),
    ] {
        assert_eq!(read(&with("data", data.clone())).is_ok(), good, "{data}");
    }
    let mut empty = with("data", json!(""));
    empty["size"] = json!(0);
    assert!(read(&empty).is_ok());
}

#[test]
fn an_error_names_the_field() {
    for (key, value) in [
        ("digest", json!("sha256:../../x")),
        ("digest", json!(format!("sha256:{}", HEX.to_uppercase()))),
        ("digest", Value::Null),
        ("mediaType", json!("none")),
        ("mediaType", json!("")),
        ("size", json!(1e30)),
        ("size", json!(-1)),
        ("size", json!("3")),
        ("urls", json!("http://a")),
        ("urls", json!([1])),
        ("annotations", json!([])),
        ("annotations", json!({"a": 1})),
        ("artifactType", json!(1)),
        ("platform", json!("linux/amd64")),
        ("platform", json!({"os": 1})),
        ("platform", json!({"OS": "linux"})),
        ("Size", json!(4)),
        ("\u{17f}ize", json!(4)),
    ] {
        let text = read(&with(key, value.clone())).unwrap_err().to_string();
        assert!(
            text.starts_with(&format!("layers[7].{key}")),
            "{key} {value}: {text}"
        );
    }
}

proptest! {
    #[test]
    fn the_length_of_base64_is_that_of_what_it_stands_for(length in 0usize..2_000) {
        let digits = (length * 4).div_ceil(3);
        let padding = length.div_ceil(3) * 4 - digits;
        let padded = format!("{}{}", "A".repeat(digits), "=".repeat(padding));
        prop_assert_eq!(base64_len(&padded), Some(length as u64));
    }

    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        let _ = base64_len(&text);
    }
}
