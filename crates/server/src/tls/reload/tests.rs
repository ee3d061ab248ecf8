use std::path::Path;

use rcgen::{CertificateParams, KeyPair};

use super::super::{Identity, TlsSettings, TlsVersion};
use super::*;

/// A directory with a certificate and its key, and what is made of them.
struct Served {
    directory: tempfile::TempDir,
    tls: Tls,
}

fn pair(directory: &Path, which: &str) -> [String; 2] {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new([which.to_owned()]).unwrap();
    let pair = [params.self_signed(&key).unwrap().pem(), key.serialize_pem()];
    write(directory, "certificate", &pair[0]);
    write(directory, "key", &pair[1]);
    pair
}

fn write(directory: &Path, name: &str, content: &str) {
    std::fs::write(directory.join("new"), content).unwrap();
    std::fs::rename(directory.join("new"), directory.join(name)).unwrap();
}

impl Served {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        pair(directory.path(), "first.test");
        let tls = Tls::load(TlsSettings {
            identity: Identity::Files {
                certificate: directory.path().join("certificate"),
                key: directory.path().join("key"),
            },
            minimum: TlsVersion::Tls12,
            cipher_suites: Vec::new(),
            client_auth: None,
            http2: true,
        });
        let tls = tls.unwrap();
        Self { directory, tls }
    }

    /// Whether what `act` does puts another configuration into force.
    async fn changes<T>(&self, act: impl Future<Output = T>) -> (bool, T) {
        let before = self.tls.shared.in_force.load_full();
        let outcome = act.await;
        let after = self.tls.shared.in_force.load_full();
        (!Arc::ptr_eq(&before, &after), outcome)
    }
}

#[tokio::test]
async fn what_has_changed_comes_into_force() {
    let served = Served::new();
    assert_eq!(served.changes(served.tls.look(false)).await, (false, false));
    pair(served.directory.path(), "second.test");
    assert_eq!(served.changes(served.tls.look(false)).await, (true, false));
    assert_eq!(served.changes(served.tls.look(false)).await, (false, false));
    assert_eq!(served.changes(served.tls.reload()).await, (true, ()));
}

#[tokio::test]
async fn a_certificate_whose_key_is_still_to_come_is_no_problem_yet() {
    let served = Served::new();
    let before = std::fs::read(served.directory.path().join("key")).unwrap();
    let [_, key] = pair(served.directory.path(), "second.test");
    std::fs::write(served.directory.path().join("key"), before).unwrap();
    assert_eq!(served.changes(served.tls.look(false)).await, (false, true));
    assert_eq!(served.tls.problem(), None);
    write(served.directory.path(), "key", &key);
    assert_eq!(served.changes(served.tls.look(true)).await, (true, false));
    assert_eq!(served.tls.problem(), None);
}

#[tokio::test]
async fn what_stays_broken_is_a_problem_until_it_is_mended() {
    let served = Served::new();
    write(served.directory.path(), "certificate", "no PEM");
    assert_eq!(served.changes(served.tls.look(false)).await, (false, true));
    assert_eq!(served.tls.problem(), None);
    assert_eq!(served.changes(served.tls.look(true)).await, (false, false));
    let problem = served.tls.problem().unwrap();
    assert!(
        problem.starts_with("there is no certificate in /"),
        "{problem}"
    );
    // It is not read again as long as it looks the same, and stays a problem.
    assert_eq!(served.changes(served.tls.look(false)).await, (false, false));
    assert_eq!(served.tls.problem(), Some(problem));
    std::fs::remove_file(served.directory.path().join("certificate")).unwrap();
    assert_eq!(served.changes(served.tls.reload()).await, (false, ()));
    let problem = served.tls.problem().unwrap();
    assert!(problem.contains("No such file"), "{problem}");
    pair(served.directory.path(), "second.test");
    assert_eq!(served.changes(served.tls.look(false)).await, (true, false));
    assert_eq!(served.tls.problem(), None);
}

#[tokio::test]
async fn other_settings_are_in_force_all_at_once_or_not_at_all() {
    let served = Served::new();
    let mut settings = TlsSettings::clone(&served.tls.shared.settings.load());
    settings.minimum = TlsVersion::Tls13;
    let prepared = || async { served.tls.prepare(settings.clone()) };
    let (changed, change) = served.changes(prepared()).await;
    assert!(!changed);
    let change = change.unwrap();
    // What was read by the settings of before must not come after those that are in force.
    let old = served.tls.shared.settings.load_full();
    let late = config::build(&old).unwrap();
    assert_eq!(served.changes(async { change() }).await, (true, ()));
    let stamps = || Stamps::of(&old);
    let late = async { served.tls.shared.take(&old, stamps(), Some(late)) };
    assert_eq!(served.changes(late).await, (false, false));
    assert_eq!(served.tls.shared.settings.load().minimum, TlsVersion::Tls13);
    assert_eq!(served.changes(served.tls.look(false)).await, (false, false));
    write(served.directory.path(), "key", "no PEM");
    let (changed, change) = served.changes(prepared()).await;
    assert!(!changed && change.is_err());
}
