use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn descriptor(media_type: &str) -> Value {
    json!({"mediaType": media_type, "digest": format!("sha256:{HEX}"), "size": 3})
}

fn image() -> Value {
    json!({
        "schemaVersion": 2,
        "config": descriptor("application/vnd.oci.image.config.v1+json"),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar+gzip")],
    })
}

fn index() -> Value {
    json!({"schemaVersion": 2, "manifests": [descriptor(MediaType::OCI_IMAGE.as_str())]})
}

fn parse(content_type: Option<&MediaType>, document: &Value) -> Result<Manifest, ManifestError> {
    Manifest::parse(content_type, document.to_string().as_bytes())
}

fn with(mut document: Value, key: &str, value: Value) -> Value {
    document[key] = value;
    document
}

fn problem(content_type: &MediaType, document: &Value) -> String {
    parse(Some(content_type), document).unwrap_err().to_string()
}

#[test]
fn each_kind_is_read() {
    let image = parse(Some(&MediaType::OCI_IMAGE), &image()).unwrap();
    assert_eq!((image.layers.len(), image.children.len()), (1, 0));
    assert_eq!(
        image.artifact_type.as_deref(),
        Some("application/vnd.oci.image.config.v1+json")
    );
    let index = parse(Some(&MediaType::OCI_INDEX), &index()).unwrap();
    assert_eq!((index.layers.len(), index.children.len()), (0, 1));
    assert_eq!(index.artifact_type, None);
    let typed = |document, kind: &MediaType| with(document, "mediaType", json!(kind.as_str()));
    for kind in [MediaType::DOCKER_IMAGE, MediaType::OCI_IMAGE] {
        assert_eq!(
            parse(None, &typed(self::image(), &kind))
                .unwrap()
                .media_type,
            kind
        );
    }
    for kind in [MediaType::DOCKER_LIST, MediaType::OCI_INDEX] {
        assert_eq!(
            parse(None, &typed(self::index(), &kind))
                .unwrap()
                .media_type,
            kind
        );
    }
}

#[test]
fn content_type_media_type_and_structure_must_agree() {
    let both = with(image(), "manifests", json!([]));
    for content_type in [MediaType::OCI_IMAGE, MediaType::OCI_INDEX] {
        for media_type in [Some(MediaType::OCI_IMAGE), Some(MediaType::OCI_INDEX), None] {
            for (structure, document) in [
                ("image", image()),
                ("index", index()),
                ("both", both.clone()),
            ] {
                let consistent = media_type.as_ref().is_none_or(|is| *is == content_type)
                    && structure
                        == if content_type == MediaType::OCI_IMAGE {
                            "image"
                        } else {
                            "index"
                        };
                let document = match &media_type {
                    Some(media_type) => with(document, "mediaType", json!(media_type.as_str())),
                    None => document,
                };
                let result = parse(Some(&content_type), &document);
                assert_eq!(
                    result.is_ok(),
                    consistent,
                    "{content_type} {media_type:?} {structure}"
                );
            }
        }
    }
    assert!(matches!(parse(None, &image()), Err(ManifestError::NoType)));
    assert!(parse(Some(&MediaType::DOCKER_IMAGE), &image()).is_err());
}

#[test]
fn what_is_retired_says_what_to_do() {
    let schema1 =
        MediaType::parse("application/vnd.docker.distribution.manifest.v1+prettyjws").unwrap();
    assert!(problem(&schema1, &image()).contains("skopeo"));
    assert!(
        problem(&MediaType::OCI_IMAGE, &with(image(), "fsLayers", json!([]))).contains("schema 1")
    );
    assert!(
        problem(
            &MediaType::OCI_IMAGE,
            &with(image(), "schemaVersion", json!(1))
        )
        .contains("schema 1")
    );
    assert!(
        problem(
            &MediaType::OCI_IMAGE,
            &with(image(), "schemaVersion", json!(3))
        )
        .contains("must be 2")
    );
    let artifact = MediaType::parse("application/vnd.oci.artifact.manifest.v1+json").unwrap();
    assert!(problem(&artifact, &image()).contains("artifactType"));
    let unknown = MediaType::parse("application/json").unwrap();
    assert!(problem(&unknown, &image()).contains("unsupported"));
}

#[test]
fn a_key_that_differs_only_in_case_is_refused() {
    assert!(problem(&MediaType::OCI_IMAGE, &with(image(), "Layers", json!([]))).contains("layers"));
    let mut layer = descriptor("a/b");
    layer["Digest"] = json!("x");
    let document = with(image(), "layers", json!([layer]));
    assert!(problem(&MediaType::OCI_IMAGE, &document).contains("layers[0].Digest"));
}

#[test]
fn sizes_are_whole_numbers_of_63_bits() {
    for (size, good) in [
        (json!(0), true),
        (json!(i64::MAX), true),
        (json!(i64::MAX as u64 + 1), false),
        (json!(-1), false),
        (json!(1.5), false),
        (json!("3"), false),
        (Value::Null, false),
    ] {
        let mut layer = descriptor("a/b");
        layer["size"] = size.clone();
        let document = with(image(), "layers", json!([layer]));
        assert_eq!(
            parse(Some(&MediaType::OCI_IMAGE), &document).is_ok(),
            good,
            "{size}"
        );
    }
}

#[test]
fn only_strict_json_is_read() {
    let good = image().to_string();
    let bodies: Vec<Vec<u8>> = vec![
        Vec::new(),
        b"null".to_vec(),
        b"[]".to_vec(),
        good.replacen('{', "{\"layers\":[],", 1).into_bytes(),
        good.replacen('{', "{\"x\":{\"a\":1,\"a\":2},", 1)
            .into_bytes(),
        good.replacen('{', "{\"x\":NaN,", 1).into_bytes(),
        good.replacen('{', "{\"x\":\"\\ud800\",", 1).into_bytes(),
        format!("{good}{{}}").into_bytes(),
        [b"\xef\xbb\xbf".to_vec(), good.clone().into_bytes()].concat(),
        [good.clone().into_bytes(), b"\xff".to_vec()].concat(),
        good.replacen('{', "{\"x\":\"\u{1}\",", 1).into_bytes(),
        good.replacen("{", "{\"x\":\"@\",", 1)
            .bytes()
            .map(|b| if b == b'@' { 0xff } else { b })
            .collect(),
    ];
    assert!(Manifest::parse(Some(&MediaType::OCI_IMAGE), good.as_bytes()).is_ok());
    assert!(Manifest::parse(Some(&MediaType::OCI_IMAGE), format!("{good}\n ").as_bytes()).is_ok());
    for body in bodies {
        let result = Manifest::parse(Some(&MediaType::OCI_IMAGE), &body);
        assert!(result.is_err(), "{}", String::from_utf8_lossy(&body));
    }
}

#[test]
fn depth_and_counts_are_bounded() {
    let nested = |depth: usize| {
        let value = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        image()
            .to_string()
            .replacen('{', &format!("{{\"x\":{value},"), 1)
    };
    assert!(Manifest::parse(Some(&MediaType::OCI_IMAGE), nested(63).as_bytes()).is_ok());
    for depth in [64, 200_000] {
        assert!(Manifest::parse(Some(&MediaType::OCI_IMAGE), nested(depth).as_bytes()).is_err());
    }
    for (count, good) in [(10_000, true), (10_001, false), (100_000, false)] {
        let document = with(
            image(),
            "layers",
            Value::Array(vec![descriptor("a/b"); count]),
        );
        assert_eq!(
            parse(Some(&MediaType::OCI_IMAGE), &document).is_ok(),
            good,
            "{count}"
        );
    }
    for (count, good) in [(1_000, true), (1_001, false)] {
        let annotations: Value = (0..count)
            .map(|n| (n.to_string(), json!("")))
            .collect::<serde_json::Map<_, _>>()
            .into();
        let document = with(image(), "annotations", annotations);
        assert_eq!(
            parse(Some(&MediaType::OCI_IMAGE), &document).is_ok(),
            good,
            "{count}"
        );
    }
}

#[test]
fn a_key_that_go_would_fold_is_refused() {
    for (key, known) in [
        ("layer\u{17f}", "layers"),
        ("Manifests", "manifests"),
        ("MEDIATYPE", "mediaType"),
        ("\u{17f}ubject", "subject"),
        ("fslayers", "fsLayers"),
    ] {
        let text = problem(&MediaType::OCI_IMAGE, &with(image(), key, json!([])));
        assert!(text.contains(&format!("must be written {known}")), "{text}");
    }
    let free = with(image(), "org.example.Layers", json!([]));
    assert!(parse(Some(&MediaType::OCI_IMAGE), &free).is_ok());
    let annotated = with(
        image(),
        "annotations",
        json!({"Layers": "x", "LAYERS": "y"}),
    );
    assert!(parse(Some(&MediaType::OCI_IMAGE), &annotated).is_ok());
}

#[test]
fn null_is_absent_and_an_empty_list_but_never_a_second_structure() {
    for (content_type, document, good) in [
        (
            MediaType::OCI_IMAGE,
            with(image(), "layers", Value::Null),
            true,
        ),
        (
            MediaType::OCI_IMAGE,
            with(image(), "layers", json!([])),
            true,
        ),
        (
            MediaType::OCI_IMAGE,
            with(image(), "config", Value::Null),
            false,
        ),
        (
            MediaType::OCI_IMAGE,
            with(image(), "manifests", Value::Null),
            true,
        ),
        (
            MediaType::OCI_IMAGE,
            with(image(), "manifests", json!([])),
            false,
        ),
        (
            MediaType::OCI_IMAGE,
            with(image(), "subject", Value::Null),
            true,
        ),
        (
            MediaType::OCI_IMAGE,
            with(image(), "annotations", Value::Null),
            true,
        ),
        (
            MediaType::OCI_IMAGE,
            with(image(), "fsLayers", Value::Null),
            false,
        ),
        (
            MediaType::OCI_INDEX,
            with(index(), "manifests", Value::Null),
            true,
        ),
        (
            MediaType::OCI_INDEX,
            with(index(), "config", Value::Null),
            true,
        ),
        (
            MediaType::OCI_INDEX,
            with(index(), "config", json!({})),
            false,
        ),
        (
            MediaType::OCI_INDEX,
            with(index(), "layers", json!([])),
            false,
        ),
        (MediaType::OCI_INDEX, json!({"schemaVersion": 2}), false),
        (MediaType::OCI_IMAGE, json!({"schemaVersion": 2}), false),
        (
            MediaType::OCI_INDEX,
            with(index(), "schemaVersion", json!(2.0)),
            false,
        ),
        (
            MediaType::OCI_INDEX,
            with(index(), "schemaVersion", json!("2")),
            false,
        ),
        (
            MediaType::OCI_INDEX,
            with(index(), "schemaVersion", Value::Null),
            false,
        ),
    ] {
        let result = parse(Some(&content_type), &document);
        assert_eq!(result.is_ok(), good, "{content_type} {document} {result:?}");
    }
}

#[test]
fn docker_manifests_name_their_type_and_have_one_structure() {
    let docker = |document, kind: &MediaType| with(document, "mediaType", json!(kind.as_str()));
    let (image, index) = (image(), index());
    for (kind, document, good) in [
        (
            MediaType::DOCKER_IMAGE,
            docker(image.clone(), &MediaType::DOCKER_IMAGE),
            true,
        ),
        (MediaType::DOCKER_IMAGE, image.clone(), false),
        (
            MediaType::DOCKER_IMAGE,
            docker(image.clone(), &MediaType::OCI_IMAGE),
            false,
        ),
        (
            MediaType::DOCKER_IMAGE,
            docker(index.clone(), &MediaType::DOCKER_IMAGE),
            false,
        ),
        (
            MediaType::DOCKER_LIST,
            docker(index.clone(), &MediaType::DOCKER_LIST),
            true,
        ),
        (MediaType::DOCKER_LIST, index.clone(), false),
        (
            MediaType::DOCKER_LIST,
            docker(image.clone(), &MediaType::DOCKER_LIST),
            false,
        ),
        (
            MediaType::DOCKER_LIST,
            with(docker(index, &MediaType::DOCKER_LIST), "layers", json!([])),
            false,
        ),
        (
            MediaType::DOCKER_IMAGE,
            with(
                docker(image, &MediaType::DOCKER_IMAGE),
                "manifests",
                json!([]),
            ),
            false,
        ),
    ] {
        assert_eq!(
            parse(Some(&kind), &document).is_ok(),
            good,
            "{kind} {document}"
        );
    }
}

#[test]
fn the_media_type_of_a_document_has_no_parameters() {
    let spelt = |text: &str| with(image(), "mediaType", json!(text));
    let plain = "application/vnd.oci.image.manifest.v1+json";
    assert!(parse(Some(&MediaType::OCI_IMAGE), &spelt(plain)).is_ok());
    for text in [
        format!("{plain};a=b"),
        format!(" {plain}"),
        plain.to_uppercase(),
    ] {
        for content_type in [Some(&MediaType::OCI_IMAGE), None] {
            assert!(parse(content_type, &spelt(&text)).is_err(), "{text}");
        }
    }
}

#[test]
fn an_artifact_has_the_type_that_its_referrers_list_shows() {
    let artifact = with(
        image(),
        "artifactType",
        json!("application/vnd.example+type"),
    );
    let artifact = with(
        artifact,
        "subject",
        descriptor(MediaType::OCI_IMAGE.as_str()),
    );
    let artifact = with(artifact, "annotations", json!({"a": "b"}));
    let manifest = parse(Some(&MediaType::OCI_IMAGE), &artifact).unwrap();
    assert_eq!(
        manifest.artifact_type.as_deref(),
        Some("application/vnd.example+type")
    );
    assert_eq!(manifest.subject.unwrap().size, 3);
    assert_eq!(manifest.annotations["a"], "b");
    let empty = with(image(), "artifactType", json!(""));
    let manifest = parse(Some(&MediaType::OCI_IMAGE), &empty).unwrap();
    let config = "application/vnd.oci.image.config.v1+json";
    assert_eq!(manifest.artifact_type.as_deref(), Some(config));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Manifest::parse(Some(&MediaType::OCI_IMAGE), &body);
    }

    #[test]
    fn a_damaged_document_does_not_make_it_panic(at in 0usize..300, byte: u8) {
        let mut body = image().to_string().into_bytes();
        let at = at % body.len();
        body[at] = byte;
        let _ = Manifest::parse(Some(&MediaType::OCI_IMAGE), &body);
    }
}
