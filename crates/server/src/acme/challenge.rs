//! What an ACME server asks to find that a name is ours, and every replica can answer.

use std::sync::Arc;
use std::time::SystemTime;

use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::ClientHello;
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use super::Acme;
use super::host::AcmeHost;
use super::records::{CHALLENGES, Challenge, Challenges, seconds};
use super::store::AcmeStoreError;

/// The protocol of TLS-ALPN-01 (RFC 8737 §4).
const PROTOCOL: &[u8] = b"acme-tls/1";

/// Characters of a token at most; Let's Encrypt's have 43.
const TOKEN_MAX: usize = 256;

/// Why a challenge is not answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChallengeError {
    #[error("nobody of here has asked an ACME server for this name")]
    NotAsked,
    #[error(transparent)]
    Store(#[from] AcmeStoreError),
    #[error("the answer to a challenge cannot be made")]
    Certificate(#[from] rcgen::Error),
    #[error("the answer to a challenge cannot be given over TLS")]
    Tls(#[from] rustls::Error),
}

/// The name that is to be proved, where a connection is for that; it has no other use then.
pub(crate) fn asked(hello: &ClientHello<'_>) -> Option<String> {
    let mut protocols = hello.alpn()?;
    let is_only = protocols.next() == Some(PROTOCOL) && protocols.next().is_none();
    is_only.then(|| hello.server_name().unwrap_or_default().to_owned())
}

impl Acme {
    /// What proves over TLS that a name is ours: a certificate with what the ACME server has given
    /// to whoever ordered.
    pub(crate) async fn prove_over_tls(
        &self,
        name: &str,
    ) -> Result<Arc<ServerConfig>, ChallengeError> {
        let host: AcmeHost = name.parse().map_err(|_| ChallengeError::NotAsked)?;
        if !self.settings.hosts.contains(&host) {
            return Err(ChallengeError::NotAsked);
        }
        let challenge = self.pending(|one| one.host == host.as_str()).await?;
        let mut params = CertificateParams::new([challenge.host])?;
        params.distinguished_name = DistinguishedName::new();
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(&challenge.digest)];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let key = aws_lc_rs::sign::any_supported_type(&key)?;
        // Made here, so that the two fit: rustls would look, and stumble over the extension.
        let proof = CertifiedKey::new(vec![certificate.der().clone()], key);
        let mut config =
            ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()?
                .with_no_client_auth()
                .with_cert_resolver(Arc::new(SingleCertAndKey::from(proof)));
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        Ok(Arc::new(config))
    }

    /// What proves over plain HTTP that a name is ours (RFC 8555 §8.3).
    pub(super) async fn prove_over_http(&self, token: &str) -> Result<String, ChallengeError> {
        // base64url, and no longer than anybody's.
        let in_token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if !(1..=TOKEN_MAX).contains(&token.len()) || !token.bytes().all(in_token) {
            return Err(ChallengeError::NotAsked);
        }
        let challenge = self.pending(|one| one.token == token).await?;
        Ok(challenge.key_authorization)
    }

    /// The challenge that is pending and wanted, of one of our hosts.
    async fn pending(
        &self,
        is_wanted: impl Fn(&Challenge) -> bool,
    ) -> Result<Challenge, ChallengeError> {
        let _one_of_few = self.lookups.acquire().await;
        let (challenges, _) = self.load::<Challenges>(CHALLENGES).await?;
        let now = seconds(SystemTime::now());
        let is_ours = |one: &Challenge| {
            let hosts = &self.settings.hosts;
            one.expires > now && hosts.iter().any(|host| host.as_str() == one.host)
        };
        let mut pending = challenges.unwrap_or_default().pending.into_iter().rev();
        pending
            .find(|one| is_ours(one) && is_wanted(one))
            .ok_or(ChallengeError::NotAsked)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{AcmeDirectory, AcmeSettings};
    use super::*;

    #[tokio::test]
    async fn only_what_is_pending_for_one_of_our_hosts_is_answered() {
        let directory = tempfile::tempdir().unwrap();
        let settings = AcmeSettings {
            directory: String::new(),
            authorities: None,
            email: None,
            hosts: vec!["a.test".parse().unwrap(), "c.test".parse().unwrap()],
            over_http: true,
        };
        let store = Arc::new(AcmeDirectory::open(directory.path()).unwrap());
        let acme = Acme::new(settings, store);
        assert!(acme.prove_over_http("token").await.is_err());
        let now = SystemTime::now();
        let hour = Duration::from_secs(3600);
        acme.change::<Challenges>(CHALLENGES, |all| {
            for (host, token, expires) in [
                ("a.test", "t-a", now + hour),
                ("b.test", "t-b", now + hour),
                ("c.test", "t-c", now - hour),
            ] {
                all.pending.push(Challenge {
                    host: host.to_owned(),
                    token: token.to_owned(),
                    key_authorization: format!("{token}.key"),
                    digest: vec![1; 32],
                    expires: seconds(expires),
                });
            }
        })
        .await
        .unwrap();
        assert_eq!(acme.prove_over_http("t-a").await.unwrap(), "t-a.key");
        assert!(acme.prove_over_tls("A.test").await.is_ok());
        let long = "a".repeat(TOKEN_MAX + 1);
        for token in ["", "t-b", "t-c", "t-a ", "../t-a", &long] {
            let refused = acme.prove_over_http(token).await;
            assert!(matches!(refused, Err(ChallengeError::NotAsked)), "{token}");
        }
        for name in ["", "b.test", "c.test", "x.a.test"] {
            let refused = acme.prove_over_tls(name).await;
            assert!(matches!(refused, Err(ChallengeError::NotAsked)), "{name}");
        }
    }
}
