use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};

use super::*;

fn issued(name: &str) -> Issued {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2026, 3, 2);
    Issued {
        chain: params.self_signed(&key).unwrap().pem(),
        key: key.serialize_pem(),
    }
}

#[test]
fn what_was_issued_is_presented_only_where_it_fits() {
    let host: AcmeHost = "a.test".parse().unwrap();
    let good = issued("a.test");
    let certified = Certified::read(&good, &host).unwrap();
    assert_eq!(certified.key.cert.len(), 1);
    let stranger = issued("a.test").key;
    for (what, chain, key) in [
        ("another name", issued("b.test").chain, good.key.clone()),
        ("another key", good.chain.clone(), stranger),
        ("no key", good.chain.clone(), String::new()),
        ("no certificate", good.key.clone(), good.key.clone()),
        ("nothing", String::new(), String::new()),
    ] {
        assert!(
            Certified::read(&Issued { chain, key }, &host).is_err(),
            "{what}"
        );
    }
}

#[test]
fn it_is_renewed_after_two_thirds_of_its_life() {
    let day = Duration::from_secs(24 * 3600);
    let certified = Certified::read(&issued("a.test"), &"a.test".parse().unwrap()).unwrap();
    assert_eq!(certified.not_after, certified.not_before + day * 60);
    assert_eq!(certified.renewal(0.0), certified.not_before + day * 40);
    assert_eq!(certified.renewal(1.0), certified.not_before + day * 43);
}
