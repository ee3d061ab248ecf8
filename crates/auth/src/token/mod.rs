//! Tokens that another server issues: `distribution`'s `auth.token`.
//!
//! A token is a JSON Web Token whose `access` claim lists what its bearer may do. It is verified by
//! a key from the configured files or URL, which its header names by `kid`; a chain of certificates
//! in the header (`x5c`) counts where it leads to the configured bundle, and a key in the header
//! (`jwk`) is never more than another way to say its `kid`.

mod bundle;
pub(crate) mod claims;
mod files;
#[cfg(test)]
mod tests;
mod validity;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::future::BoxFuture;
use rustls::pki_types::UnixTime;

use self::bundle::Bundle;
pub use self::claims::{AccessRecord, VerifiedToken};
use self::files::KeyFile;
pub use self::files::KeyFileProblem;
use crate::fetch::{EgressSettings, Fetcher, HttpsUrl, RootsError};
use crate::jose::{
    Algorithm, Compact, Document, JoseError, KeySet, Load, LoadError, RemoteKeys, parse_jwks,
};

/// Whose tokens are taken, and which keys verify them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSettings {
    /// The `iss` claim, exactly.
    pub issuer: String,
    /// What the `aud` claim must contain: the registry.
    pub service: String,
    /// A PEM file of certificates: their keys are trusted, and so are chains that lead to them.
    pub rootcertbundle: Option<PathBuf>,
    /// A file with a JSON Web Key Set.
    pub jwks: Option<PathBuf>,
    /// Where the issuer publishes its key set.
    pub jwks_url: Option<HttpsUrl>,
    /// The algorithms that may sign.
    pub algorithms: Vec<Algorithm>,
}

/// Why tokens cannot be verified at all.
#[derive(Debug, thiserror::Error)]
pub enum TokenSetupError {
    /// There is no key.
    #[error("tokens need a key: rootcertbundle, jwks or jwksurl")]
    NoKeySource,
    /// A file of keys cannot be used.
    #[error("cannot use the key file {path}", path = path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        problem: KeyFileProblem,
    },
    /// The key set cannot be fetched, ever.
    #[error(transparent)]
    Roots(#[from] RootsError),
}

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Its form or its signature.
    #[error(transparent)]
    Jose(#[from] JoseError),
    /// The certificates that it brings do not lead to the configured ones, now.
    #[error("the token's certificates do not lead to the configured ones")]
    Chain,
    /// The claims are not the JSON that they should be.
    #[error("the token's claims are malformed")]
    Claims,
    /// Somebody else issued it.
    #[error("the token has another issuer")]
    Issuer,
    /// It is for somebody else.
    #[error("the token is for another service")]
    Audience,
    /// Its time is over, or it has none.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// The issuer's keys could not be fetched.
    #[error("the issuer's keys could not be fetched")]
    Unavailable,
}

/// Verifies the tokens of one issuer.
pub struct TokenVerifier {
    settings: TokenSettings,
    bundle: Option<Arc<KeyFile<Bundle>>>,
    jwks: Option<Arc<KeyFile<KeySet>>>,
    remote: Option<RemoteKeys>,
}

/// A key set at a fixed address.
struct PublishedSet {
    url: HttpsUrl,
    fetcher: Fetcher,
}

impl TokenError {
    /// Whether the challenge says `error="invalid_token"`. As in `distribution`, it does not where
    /// the signature is wrong, the claims are malformed or there are critical extensions.
    #[must_use]
    pub fn is_invalid_token(self) -> bool {
        !matches!(
            self,
            Self::Jose(JoseError::Signature | JoseError::Critical)
                | Self::Claims
                | Self::Unavailable
        )
    }

    /// Whether the same token may be good later: the registry is not able to tell now.
    #[must_use]
    pub fn is_unavailable(self) -> bool {
        self == Self::Unavailable
    }
}

impl TokenVerifier {
    /// Reads the keys for the first time. Blocks. A key set at a URL is fetched by
    /// [`TokenVerifier::keep_current`].
    ///
    /// # Errors
    /// No source of keys is named, or a file cannot be used.
    pub fn new(settings: TokenSettings, egress: &EgressSettings) -> Result<Self, TokenSetupError> {
        let remote = match &settings.jwks_url {
            Some(url) => {
                let (url, fetcher) = (url.clone(), Fetcher::new(egress, None)?);
                Some(PublishedSet { url, fetcher })
            }
            None => None,
        };
        Self::with_source(
            settings,
            remote.map(|source| Box::new(source) as Box<dyn Load>),
        )
    }

    fn with_source(
        settings: TokenSettings,
        remote: Option<Box<dyn Load>>,
    ) -> Result<Self, TokenSetupError> {
        let bundle = settings.rootcertbundle.as_deref();
        let bundle = bundle.map(KeyFile::open).transpose()?;
        let jwks = settings.jwks.as_deref().map(KeyFile::open).transpose()?;
        if bundle.is_none() && jwks.is_none() && remote.is_none() {
            return Err(TokenSetupError::NoKeySource);
        }
        let remote = remote.map(|source| RemoteKeys::new(settings.issuer.clone(), source));
        Ok(Self {
            settings,
            bundle,
            jwks,
            remote,
        })
    }

    /// Keeps the keys as new as they should be, for ever: to be run as a task of its own. It may be
    /// dropped at any time.
    pub async fn keep_current(&self) {
        let files = async {
            loop {
                self.look_at_files().await;
                tokio::time::sleep(crate::watched::INTERVAL).await;
            }
        };
        let remote = async {
            if let Some(remote) = &self.remote {
                remote.keep_current().await;
            }
        };
        tokio::join!(files, remote);
    }

    /// Why the keys in force are not those of the files and of the issuer.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let problems = [
            self.bundle.as_ref().and_then(|file| file.problem()),
            self.jwks.as_ref().and_then(|file| file.problem()),
            self.remote.as_ref().and_then(RemoteKeys::problem),
        ];
        let problems: Vec<String> = problems.into_iter().flatten().collect();
        (!problems.is_empty()).then(|| problems.join("; "))
    }

    /// A number that changes whenever the keys do: a verified token may be remembered for as long
    /// as it stays the same and the token lives.
    #[must_use]
    pub fn generation(&self) -> u64 {
        let bundle = self.bundle.as_ref().map_or(0, |file| file.generation());
        let jwks = self.jwks.as_ref().map_or(0, |file| file.generation());
        let remote = self.remote.as_ref().map_or(0, RemoteKeys::generation);
        // Each only grows.
        bundle + jwks + remote
    }

    /// Verifies a token, bounds first, signature second, claims last. Waits only where a file may
    /// have changed or the token names a key that the issuer may have published since.
    ///
    /// # Errors
    /// The token is refused, see [`TokenError`].
    pub async fn verify(&self, token: &str, now: SystemTime) -> Result<VerifiedToken, TokenError> {
        let token = Compact::parse(token, &self.settings.algorithms)?;
        self.look_at_files().await;
        let mut outcome = self.check_signature(&token, now);
        if let (Err(TokenError::Jose(JoseError::UnknownKey)), Some(remote)) =
            (&outcome, &self.remote)
        {
            remote.want().await;
            outcome = match remote.current() {
                Ok(_) => self.check_signature(&token, now),
                Err(_) => Err(TokenError::Unavailable),
            };
        }
        outcome?;
        let (issuer, service) = (&self.settings.issuer, &self.settings.service);
        claims::check(&token.payload, issuer, service, now)
    }

    async fn look_at_files(&self) {
        if let Some(file) = &self.bundle {
            file.look().await;
        }
        if let Some(file) = &self.jwks {
            file.look().await;
        }
    }

    /// Which key, in `distribution`'s order: certificates, then the name in an embedded key, then
    /// the name.
    fn check_signature(&self, token: &Compact<'_>, now: SystemTime) -> Result<(), TokenError> {
        let header = &token.header;
        let chain = |x5c: &Option<Vec<String>>| x5c.clone().filter(|chain| !chain.is_empty());
        if let Some(chain) = chain(&header.x5c) {
            return self.check_by_chain(token, &chain, now);
        }
        let kid = match &header.jwk {
            Some(embedded) => {
                if let Some(chain) = chain(&embedded.x5c) {
                    return self.check_by_chain(token, &chain, now);
                }
                embedded.kid.as_deref().filter(|kid| !kid.is_empty())
            }
            None => token.kid(),
        };
        let kid = kid.ok_or(JoseError::NoKeyNamed)?;
        self.check_by_name(token, kid)
    }

    fn check_by_chain(
        &self,
        token: &Compact<'_>,
        chain: &[String],
        now: SystemTime,
    ) -> Result<(), TokenError> {
        let bundle = self.bundle.as_ref().ok_or(TokenError::Chain)?.load();
        let now = now.duration_since(SystemTime::UNIX_EPOCH);
        let now = UnixTime::since_unix_epoch(now.map_err(|_| TokenError::Chain)?);
        let key = bundle.leaf_key(chain, now).ok_or(TokenError::Chain)?;
        Ok(key.verify(token)?)
    }

    fn check_by_name(&self, token: &Compact<'_>, kid: &str) -> Result<(), TokenError> {
        let bundle = self.bundle.as_ref().map(|file| file.load());
        let jwks = self.jwks.as_ref().map(|file| file.load());
        let remote = self.remote.as_ref().and_then(|keys| keys.current().ok());
        let sets = [
            bundle.as_ref().map(|bundle| &bundle.keys),
            jwks.as_deref(),
            remote.as_ref().map(|document| &document.keys),
        ];
        let mut outcome = Err(JoseError::UnknownKey);
        for set in sets.into_iter().flatten().filter(|set| set.contains(kid)) {
            outcome = set.verify(kid, token);
            if outcome.is_ok() {
                break;
            }
        }
        Ok(outcome?)
    }
}

impl Load for PublishedSet {
    fn load(&self) -> BoxFuture<'_, Result<Document, LoadError>> {
        Box::pin(async move {
            let bytes = self.fetcher.get(&self.url).await?;
            let set = parse_jwks(&bytes).map_err(|problem| LoadError::Keys {
                url: self.url.to_string(),
                problem,
            })?;
            set.warn_of_broken(self.url.as_str());
            Ok(Document {
                keys: set.keys,
                discovery: None,
            })
        })
    }
}

/// A bundle for the fuzz target: certificates of it that are taken can be looked for.
#[cfg(fuzzing)]
pub(crate) fn fuzz_bundle(bytes: &[u8]) {
    use self::files::Keys as _;
    if let Ok(bundle) = Bundle::parse(bytes) {
        assert!(bundle.count() >= 1);
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_800_000_000));
        let _leaf = bundle.leaf_key(&["AAAA".to_owned()], now);
    }
}
