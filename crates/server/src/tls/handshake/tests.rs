use super::*;

#[test]
fn the_answer_to_clear_text_says_its_own_length() {
    let text = std::str::from_utf8(CLEARTEXT).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "));
    assert_eq!(length, Some(body.len().to_string().as_str()));
}

#[test]
fn a_certificate_that_has_expired_is_nobodys() {
    let hour = Duration::from_secs(3600);
    let certificate = |expires| {
        Holder(Some(Arc::new(ClientCertificate {
            subject: String::new(),
            common_name: None,
            dns_names: Vec::new(),
            emails: Vec::new(),
            uris: Vec::new(),
            spiffe_id: None,
            fingerprint: [0; 32],
            expires,
        })))
    };
    let now = SystemTime::now();
    assert!(certificate(now + hour).certificate().is_some());
    assert!(certificate(now - hour).certificate().is_none());
    assert!(Holder::default().certificate().is_none());
}
