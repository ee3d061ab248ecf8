use std::time::Duration;

use proptest::prelude::*;
use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyPair, SanType};

use super::*;

fn names(subject: &[(DnType, &str)], alternatives: Vec<SanType>) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    for (kind, value) in subject {
        let value = DnValue::Utf8String((*value).to_owned());
        params.distinguished_name.push(kind.clone(), value);
    }
    params.subject_alt_names = alternatives;
    params.not_after = rcgen::date_time_ymd(2030, 1, 2);
    let key = KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().der().to_vec()
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

#[test]
fn a_certificate_is_read_in_all_its_names() {
    let der = names(
        &[
            (DnType::CountryName, "DE"),
            (DnType::OrganizationName, "A, B + \"C\""),
            (DnType::CommonName, " ci#1 "),
        ],
        vec![
            SanType::DnsName("build.example.org".try_into().unwrap()),
            SanType::Rfc822Name("ci@example.org".try_into().unwrap()),
            uri("spiffe://example.org/ns/ci/sa/build"),
            SanType::DnsName("*.example.org".try_into().unwrap()),
            SanType::IpAddress([127, 0, 0, 1].into()),
        ],
    );
    let certificate = ClientCertificate::parse(&der).unwrap();
    let expires = SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_542_400);
    assert_eq!(
        certificate,
        ClientCertificate {
            subject: "CN=\\ ci#1\\ ,O=A\\, B \\+ \\\"C\\\",C=DE".to_owned(),
            common_name: Some(" ci#1 ".to_owned()),
            dns_names: vec!["build.example.org".to_owned(), "*.example.org".to_owned()],
            emails: vec!["ci@example.org".to_owned()],
            uris: vec!["spiffe://example.org/ns/ci/sa/build".to_owned()],
            spiffe_id: Some("spiffe://example.org/ns/ci/sa/build".to_owned()),
            fingerprint: Sha256::digest(&der).into(),
            expires,
        }
    );
    assert!(certificate.is_current(expires));
    assert!(!certificate.is_current(expires + Duration::from_secs(1)));
}

#[test]
fn a_certificate_need_not_name_anybody() {
    let certificate = ClientCertificate::parse(&names(&[], vec![])).unwrap();
    assert_eq!(certificate.subject, "");
    assert_eq!(certificate.common_name, None);
    assert_eq!(certificate.spiffe_id, None);
}

#[test]
fn a_spiffe_id_is_the_only_uri() {
    let (id, other) = ("spiffe://a/b", "https://a/b");
    for (uris, expected) in [
        (vec![id], Some(id)),
        (vec![other], None),
        (vec![id, other], None),
        (vec![id, "spiffe://a/c"], None),
    ] {
        let der = names(&[], uris.iter().map(|text| uri(text)).collect());
        let certificate = ClientCertificate::parse(&der).unwrap();
        assert_eq!(certificate.spiffe_id.as_deref(), expected, "{uris:?}");
        assert_eq!(certificate.uris, uris);
    }
}

#[test]
fn spiffe_ids_are_told_from_what_only_looks_like_them() {
    for good in [
        "spiffe://a/b",
        "spiffe://a-1_b.c/D/e.f-g_h",
        "spiffe://1/..a",
    ] {
        assert!(is_spiffe_id(good), "{good}");
    }
    let long = format!("spiffe://a/{}", "b".repeat(SPIFFE_ID_BYTES_MAX));
    let wide = format!("spiffe://{}/b", "a".repeat(TRUST_DOMAIN_BYTES_MAX + 1));
    for bad in [
        "",
        "spiffe:/a/b",
        "spiffe://a",
        "spiffe://a/",
        "spiffe:///b",
        "spiffe://a/b/",
        "spiffe://a//b",
        "spiffe://a/./b",
        "spiffe://a/../b",
        "spiffe://A/b",
        "SPIFFE://a/b",
        "spiffe://a:1/b",
        "spiffe://u@a/b",
        "spiffe://a/b?c",
        "spiffe://a/b#c",
        "spiffe://a/%62",
        "spiffe://a/b c",
        &long,
        &wide,
    ] {
        assert!(!is_spiffe_id(bad), "{bad}");
    }
}

#[test]
fn names_that_nobody_could_tell_apart_are_refused() {
    for subject in ["a\nb", "a\0", "\u{85}"] {
        let der = names(&[(DnType::CommonName, subject)], vec![]);
        let error = ClientCertificate::parse(&der).unwrap_err();
        assert!(matches!(error, CertificateError::Name), "{error:?}");
    }
    for name in ["a b", "a\0", "\r\n", ""] {
        let der = names(&[], vec![SanType::DnsName(name.try_into().unwrap())]);
        let error = ClientCertificate::parse(&der).unwrap_err();
        assert!(
            matches!(error, CertificateError::Name),
            "{name:?}: {error:?}"
        );
    }
}

#[test]
fn there_are_bounds() {
    let many = |count: usize| {
        let name = |i| SanType::DnsName(format!("n{i}").try_into().unwrap());
        ClientCertificate::parse(&names(&[], (0..count).map(name).collect()))
    };
    assert_eq!(many(NAMES_MAX).unwrap().dns_names.len(), NAMES_MAX);
    assert!(matches!(
        many(NAMES_MAX + 1),
        Err(CertificateError::TooManyNames)
    ));
    assert!(matches!(
        ClientCertificate::parse(&vec![0; BYTES_MAX + 1]),
        Err(CertificateError::TooLong)
    ));
}

#[test]
fn several_common_names_are_none() {
    let twice = |text: &str| {
        // rcgen keeps one of each kind, so that another one takes another name for the first.
        let first = names(
            &[(DnType::LocalityName, text), (DnType::CommonName, text)],
            vec![],
        );
        ClientCertificate::parse(&first).unwrap().common_name
    };
    assert_eq!(twice("a"), Some("a".to_owned()));
    let mut der = names(
        &[(DnType::LocalityName, "a"), (DnType::CommonName, "b")],
        vec![],
    );
    // id-at-localityName 2.5.4.7 becomes a second id-at-commonName 2.5.4.3.
    let locality = [0x06, 0x03, 0x55, 0x04, 0x07];
    for at in 0..der.len() - locality.len() {
        if der[at..].starts_with(&locality) {
            der[at + 4] = 0x03;
        }
    }
    let certificate = ClientCertificate::parse(&der).unwrap();
    assert_eq!(certificate.subject, "CN=b,CN=a");
    assert_eq!(certificate.common_name, None);
}

proptest! {
    #[test]
    fn whatever_comes_is_read_or_refused(
        at in 0_usize..1_000,
        byte: u8,
        cut in 0_usize..1_000,
        noise in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut der = names(
            &[(DnType::CommonName, "a")],
            vec![uri("spiffe://a/b"), SanType::Rfc822Name("a@b".try_into().unwrap())],
        );
        let length = der.len();
        der[at % length] = byte;
        if let Ok(certificate) = ClientCertificate::parse(&der) {
            prop_assert!(certificate.uris.len() <= NAMES_MAX);
        }
        der.truncate(cut % length);
        prop_assert!(ClientCertificate::parse(&der).is_err());
        prop_assert!(ClientCertificate::parse(&noise).is_err());
    }
}
