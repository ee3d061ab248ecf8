use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};

use super::super::records::Issued;
use super::super::{AcmeDirectory, AcmeSettings};
use super::*;

fn replica(directory: &std::path::Path) -> Arc<Acme> {
    let settings = AcmeSettings {
        // Nobody answers there.
        directory: "https://127.0.0.1:1/dir".to_owned(),
        authorities: None,
        email: None,
        hosts: vec!["a.test".parse().unwrap()],
        over_http: false,
    };
    Acme::new(settings, Arc::new(AcmeDirectory::open(directory).unwrap()))
}

fn watched(acme: &Acme) -> Vec<Watched> {
    acme.settings.hosts.iter().map(Watched::new).collect()
}

fn issued(days: i64) -> Issued {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["a.test".to_owned()]).unwrap();
    let now = std::time::SystemTime::now();
    params.not_before = now.into();
    params.not_after = (now + Duration::from_secs(24 * 3600) * u32::try_from(days).unwrap()).into();
    Issued {
        chain: params.self_signed(&key).unwrap().pem(),
        key: key.serialize_pem(),
    }
}

#[test]
fn the_pause_grows_with_each_failure_up_to_an_hour() {
    let pauses: Vec<u64> = (1..7)
        .map(|failures| back_off(failures).as_secs())
        .collect();
    assert_eq!(pauses, [15, 60, 240, 960, 3600, 3600]);
    assert_eq!(back_off(u32::MAX), BACK_OFF_MAX);
}

#[tokio::test]
async fn a_failure_is_told_and_holds_all_replicas_back() {
    let directory = tempfile::tempdir().unwrap();
    let (a, b) = (replica(directory.path()), replica(directory.path()));
    let mut of_a = watched(&a);
    a.round(&mut of_a, 0.0).await;
    let problem = a.problem().unwrap();
    assert!(
        problem.starts_with("no certificate for a.test: ") && problem.contains("127.0.0.1"),
        "{problem}"
    );
    assert_eq!(of_a[0].failures, 1);
    let mut of_b = watched(&b);
    b.round(&mut of_b, 0.0).await;
    assert_eq!(of_b[0].failures, 1);
    assert!(of_b[0].due(0.0) > SystemTime::now());
    assert_eq!(b.problem(), Some(problem));
}

#[tokio::test]
async fn a_store_that_works_again_is_no_problem() {
    let directory = tempfile::tempdir().unwrap();
    let acme = replica(directory.path());
    let mut watched = watched(&acme);
    let record = HostRecord {
        issued: Some(issued(90)),
        ..HostRecord::default()
    };
    acme.keep(&mut watched[0], record).await.unwrap();
    let file = directory.path().join("roadstead-host-a.test");
    let good = std::fs::read(&file).unwrap();
    assert!(acme.look_at(&mut watched[0]).await);
    std::fs::write(&file, "1\n{").unwrap();
    assert!(!acme.look_at(&mut watched[0]).await);
    let problem = acme.problem().unwrap();
    assert!(
        problem.contains("host-a.test in it cannot be understood"),
        "{problem}"
    );
    std::fs::write(&file, good).unwrap();
    assert!(acme.look_at(&mut watched[0]).await);
    assert_eq!(acme.problem(), None);
    assert!(watched[0].certified.is_some());
}

#[tokio::test]
async fn what_one_replica_has_got_comes_to_the_others() {
    let directory = tempfile::tempdir().unwrap();
    let (a, b) = (replica(directory.path()), replica(directory.path()));
    let (mut of_a, mut of_b) = (watched(&a), watched(&b));
    let record = HostRecord {
        issued: Some(issued(90)),
        ..HostRecord::default()
    };
    a.keep(&mut of_a[0], record).await.unwrap();
    b.round(&mut of_b, 0.0).await;
    let certified = of_b[0].certified.clone().unwrap();
    assert!(certified.renewal(0.0) > SystemTime::now() + Duration::from_secs(59 * 24 * 3600));
    // A failure later leaves the certificate where it is.
    let failed = HostRecord {
        failures: 3,
        ..HostRecord::default()
    };
    a.keep(&mut of_a[0], failed).await.unwrap();
    b.round(&mut of_b, 0.0).await;
    assert_eq!(of_b[0].failures, 3);
    let late = replica(directory.path());
    let mut of_late = watched(&late);
    late.round(&mut of_late, 0.0).await;
    assert_eq!(
        of_late[0].certified.clone().unwrap().key.cert,
        certified.key.cert
    );
}

#[tokio::test]
async fn a_certificate_whose_time_has_come_is_due() {
    let directory = tempfile::tempdir().unwrap();
    let acme = replica(directory.path());
    let mut watched = watched(&acme);
    let record = HostRecord {
        issued: Some(issued(0)),
        ..HostRecord::default()
    };
    acme.keep(&mut watched[0], record).await.unwrap();
    acme.take_up(&mut watched[0]).await.unwrap();
    assert!(watched[0].certified.is_some());
    assert!(watched[0].due(0.0) <= SystemTime::now());
    acme.round(&mut watched, 0.0).await;
    assert!(
        acme.problem()
            .unwrap()
            .starts_with("no certificate for a.test")
    );
    assert!(watched[0].certified.is_some());
}
