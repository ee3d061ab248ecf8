use std::path::PathBuf;

use super::super::{ClientAuth, ClientAuthMode, Identity, TlsVersion};
use super::*;

fn settings(certificate: PathBuf, key: PathBuf, authority: PathBuf) -> TlsSettings {
    TlsSettings {
        identity: Identity::Files { certificate, key },
        minimum: TlsVersion::Tls12,
        cipher_suites: Vec::new(),
        client_auth: Some(ClientAuth {
            authorities: vec![authority],
            mode: ClientAuthMode::VerifyIfGiven,
        }),
        http2: true,
    }
}

#[test]
fn any_change_of_any_file_shows() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let settings = settings(path("certificate"), path("key"), path("authority"));
    let mut last = Stamps::of(&settings);
    let mut changed = |what: &str| {
        let now = Stamps::of(&settings);
        assert_ne!(now, last, "{what}");
        assert_eq!(now, Stamps::of(&settings), "{what}");
        last = now;
    };
    for name in ["certificate", "key", "authority"] {
        std::fs::write(path(name), "a").unwrap();
        changed("made");
        std::fs::write(path("new"), "a").unwrap();
        std::fs::rename(path("new"), path(name)).unwrap();
        changed("replaced by the same");
        std::fs::write(path(name), "ab").unwrap();
        changed("written to");
        std::fs::remove_file(path(name)).unwrap();
        changed("removed");
    }
}

#[test]
fn a_link_that_is_set_to_another_directory_shows() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    for version in ["..1", "..2"] {
        std::fs::create_dir(path(version)).unwrap();
        std::fs::write(path(version).join("tls.crt"), version).unwrap();
    }
    let set = |version: &str| {
        std::os::unix::fs::symlink(version, path("..new")).unwrap();
        std::fs::rename(path("..new"), path("..data")).unwrap();
    };
    set("..1");
    std::os::unix::fs::symlink("..data/tls.crt", path("tls.crt")).unwrap();
    let settings = settings(path("tls.crt"), path("tls.crt"), path("tls.crt"));
    let before = Stamps::of(&settings);
    set("..2");
    assert_ne!(Stamps::of(&settings), before);
    set("..1");
    assert_eq!(Stamps::of(&settings), before);
}

#[test]
fn a_file_without_end_is_not_read_to_its_end() {
    let error = certificates(Path::new("/dev/zero"), "certificate").unwrap_err();
    assert!(matches!(error, TlsError::TooLarge { .. }), "{error:?}");
    assert!(matches!(
        key(Path::new("/dev/null")),
        Err(TlsError::Pem { .. })
    ));
    assert!(matches!(
        certificates(Path::new("/dev/null"), "certificate"),
        Err(TlsError::NoCertificate { .. })
    ));
}
