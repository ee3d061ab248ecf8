//! Referrers: manifests whose `subject` is another one, listed by that other's digest.

use std::thread;

use serde_json::{Value, json};

use crate::harness::{Answer, Image, Manifest, OCI_INDEX, Registry, sha256};

const SBOM: &str = "application/vnd.example.sbom.v1";
const SIGNATURE: &str = "application/vnd.example.signature.v1";

/// An artifact of this type that refers to `subject`.
fn artifact(seed: &str, artifact_type: &str, subject: &Manifest) -> Image {
    Image::new(seed).with(&json!({
        "artifactType": artifact_type,
        "subject": subject.descriptor(),
        "annotations": { "org.example.seed": seed },
    }))
}

fn referrers(registry: &Registry, digest: &str, query: &str) -> Answer {
    let answer = registry
        .get(format!("/v2/app/referrers/{digest}{query}"))
        .send()
        .expect(200);
    let answer = answer.expect_header("content-type", OCI_INDEX);
    let document = answer.json();
    assert_eq!(
        (&document["schemaVersion"], &document["mediaType"]),
        (&json!(2), &json!(OCI_INDEX))
    );
    answer
}

fn digests(answer: &Answer) -> Vec<String> {
    let document = answer.json();
    let named = document["manifests"].as_array().unwrap();
    named
        .iter()
        .map(|entry| entry["digest"].as_str().unwrap().to_owned())
        .collect()
}

fn sorted<T: Ord>(mut items: Vec<T>) -> Vec<T> {
    items.sort();
    items
}

#[test]
fn a_referrer_is_listed_with_its_type_and_annotations() {
    let registry = Registry::start();
    let subject = Image::new("subject");
    registry.push_image("app", "v1", &subject);
    let sbom = artifact("sbom", SBOM, &subject.manifest);
    registry.push_blobs_of("app", &sbom);
    registry
        .put_manifest("app", &sbom.manifest.digest, &sbom.manifest)
        .expect(201)
        .expect_header("oci-subject", &subject.manifest.digest);
    let answer = referrers(&registry, &subject.manifest.digest, "");
    let mut expected = sbom.manifest.descriptor();
    expected["artifactType"] = json!(SBOM);
    expected["annotations"] = json!({ "org.example.seed": "sbom" });
    assert_eq!(answer.json()["manifests"], json!([expected]));
    assert!(answer.header("oci-filters-applied").is_none(), "{answer:?}");
    registry
        .delete(format!("/v2/app/manifests/{}", sbom.manifest.digest))
        .send()
        .expect(202);
    assert!(digests(&referrers(&registry, &subject.manifest.digest, "")).is_empty());
}

/// Without artifactType, the config's media type stands in for it; an index may refer, too.
#[test]
fn an_image_without_artifact_type_is_listed_by_its_configs_type() {
    let registry = Registry::start();
    let subject = Image::new("subject");
    registry.push_image("app", "v1", &subject);
    let plain = Image::new("plain").with(&json!({ "subject": subject.manifest.descriptor() }));
    registry.push_blobs_of("app", &plain);
    registry.push_manifest("app", &plain.manifest);
    let index = Manifest::index(&[]).with(&json!({
        "artifactType": SIGNATURE, "subject": subject.manifest.descriptor() }));
    registry.push_manifest("app", &index);
    let document = referrers(&registry, &subject.manifest.digest, "").json();
    let listed: Vec<(&Value, &Value)> = document["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (&entry["digest"], &entry["artifactType"]))
        .collect();
    assert!(listed.contains(&(
        &json!(plain.manifest.digest),
        &json!(plain.config.media_type)
    )));
    assert!(listed.contains(&(&json!(index.digest), &json!(SIGNATURE))));
}

#[test]
fn the_list_is_filtered_by_artifact_type() {
    let registry = Registry::start();
    let subject = Image::new("subject").manifest;
    for (seed, kind) in [("a", SBOM), ("b", SIGNATURE), ("c", SBOM)] {
        let artifact = artifact(seed, kind, &subject);
        registry.push_blobs_of("app", &artifact);
        registry.push_manifest("app", &artifact.manifest);
    }
    for (kind, count) in [(SBOM, 2), (SIGNATURE, 1), ("application/other+json", 0)] {
        for encoded in [
            kind.to_owned(),
            kind.replace('/', "%2F").replace('+', "%2B"),
        ] {
            let query = format!("?artifactType={encoded}");
            let answer = referrers(&registry, &subject.digest, &query);
            assert_eq!(digests(&answer).len(), count, "{query}");
            answer.expect_header("oci-filters-applied", "artifactType");
        }
    }
}

/// Case 57.
#[test]
fn a_subject_need_not_be_there() {
    let registry = Registry::start();
    let subject = Image::new("late");
    let early = artifact("early", SBOM, &subject.manifest);
    registry.push_blobs_of("app", &early);
    registry
        .put_manifest("app", "early", &early.manifest)
        .expect(201)
        .expect_header("oci-subject", &subject.manifest.digest);
    let expected = [early.manifest.digest];
    assert_eq!(
        digests(&referrers(&registry, &subject.manifest.digest, "")),
        expected
    );
    registry.push_image("app", "late", &subject);
    assert_eq!(
        digests(&referrers(&registry, &subject.manifest.digest, "")),
        expected
    );
    registry
        .delete(format!("/v2/app/manifests/{}", subject.manifest.digest))
        .send()
        .expect(202);
    assert_eq!(
        digests(&referrers(&registry, &subject.manifest.digest, "")),
        expected
    );
}

/// Case 57: by digest no cycle can be made, but a referrer of a referrer can, and a fallback tag can
/// close one; every walk ends.
#[test]
fn chains_and_cycles_of_referrers_end() {
    let registry = Registry::start();
    let first = Image::new("first");
    registry.push_image("app", "first", &first);
    let second = artifact("second", SBOM, &first.manifest);
    registry.push_image("app", "second", &second);
    let back = Manifest::index(&[&first.manifest]);
    let tag = second.manifest.digest.replace(':', "-");
    registry.put_manifest("app", &tag, &back).expect(201);
    let of = |manifest: &Manifest| digests(&referrers(&registry, &manifest.digest, ""));
    assert_eq!(of(&first.manifest), [&*second.manifest.digest]);
    assert_eq!(of(&second.manifest), [&*first.manifest.digest]);
    registry
        .delete(format!("/v2/app/manifests/{}", first.manifest.digest))
        .send()
        .expect(202);
    assert_eq!(of(&first.manifest), [&*second.manifest.digest]);
}

/// The tag that clients from before the referrers API keep is merged in, once and not twice.
#[test]
fn the_fallback_tag_of_older_clients_is_merged() {
    let registry = Registry::start();
    let subject = Image::new("subject");
    registry.push_image("app", "v1", &subject);
    let new = artifact("new", SBOM, &subject.manifest);
    let old = Image::new("old");
    for image in [&new, &old] {
        registry.push_blobs_of("app", image);
        registry.push_manifest("app", &image.manifest);
    }
    let mut described = old.manifest.descriptor();
    described["artifactType"] = json!(SIGNATURE);
    described["annotations"] = json!({ "kept": "yes" });
    let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX,
        "manifests": [described, new.manifest.descriptor()] });
    let index = Manifest::new(OCI_INDEX, &index);
    let tag = subject.manifest.digest.replace(':', "-");
    registry.put_manifest("app", &tag, &index).expect(201);
    let answer = referrers(&registry, &subject.manifest.digest, "");
    let expected = sorted(vec![new.manifest.digest, old.manifest.digest.clone()]);
    assert_eq!(sorted(digests(&answer)), expected);
    let entries = answer.json()["manifests"].as_array().unwrap().clone();
    assert!(entries.contains(&described), "{entries:?}");
    let query = format!("?artifactType={SIGNATURE}");
    let filtered = referrers(&registry, &subject.manifest.digest, &query);
    assert_eq!(digests(&filtered), [old.manifest.digest]);
}

/// Case 58; R28.
#[test]
fn thousands_of_referrers_come_in_pages() {
    let registry = Registry::start();
    let subject = Image::new("popular").manifest;
    let base = Image::new("base");
    registry.push_blobs_of("app", &base);
    let make = |number: usize| {
        let kind = if number.is_multiple_of(4) {
            SBOM
        } else {
            SIGNATURE
        };
        base.manifest.with(
            &json!({ "artifactType": kind, "subject": subject.descriptor(),
            "annotations": { "number": number.to_string() } }),
        )
    };
    let total = 5_000;
    let push = &|worker: usize| {
        let mine = (worker..total).step_by(10).map(make);
        mine.map(|manifest| {
            registry.push_manifest("app", &manifest);
            manifest.digest
        })
        .collect::<Vec<String>>()
    };
    let pushed: Vec<String> = thread::scope(|scope| {
        let workers: Vec<_> = (0..10)
            .map(|worker| scope.spawn(move || push(worker)))
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect()
    });
    for (query, count) in [
        ("", total),
        ("?artifactType=application/vnd.example.sbom.v1", total / 4),
    ] {
        let mut listed = Vec::new();
        let mut next = Some(format!("/v2/app/referrers/{}{query}", subject.digest));
        while let Some(target) = next {
            let answer = registry.get(&target).send().expect(200);
            assert!(answer.body.len() < 5 << 20);
            let page = digests(&answer);
            assert!((1..=1_000).contains(&page.len()), "{}", page.len());
            assert_eq!(
                answer.header("oci-filters-applied").is_some(),
                !query.is_empty()
            );
            listed.extend(page);
            next = answer.next();
        }
        assert_eq!(listed.len(), count);
        assert!(listed.iter().all(|digest| pushed.contains(digest)));
        let unique: std::collections::HashSet<_> = listed.iter().collect();
        assert_eq!(unique.len(), count);
    }
}

/// Case 59.
#[test]
fn an_unknown_subject_has_an_empty_list_and_a_malformed_one_is_refused() {
    let registry = Registry::start();
    for repository in ["app", "never"] {
        let target = format!("/v2/{repository}/referrers/{}", sha256(b"unknown"));
        let answer = registry
            .get(target)
            .send()
            .expect(200)
            .expect_header("content-type", OCI_INDEX);
        assert_eq!(answer.json()["manifests"], json!([]));
        assert!(answer.next().is_none());
    }
    for digest in ["sha256:abc", "md5:d41d8cd98f00b204e9800998ecf8427e", "v1"] {
        let answer = registry.get(format!("/v2/app/referrers/{digest}")).send();
        answer.expect_error(400, "DIGEST_INVALID");
    }
}
