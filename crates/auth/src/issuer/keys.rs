//! The keys that tokens are signed with: made here, kept in the metadata store, shared by all
//! replicas, replaced by new ones from time to time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use jsonwebtoken::{DecodingKey, EncodingKey};
use roadstead_metadata::{Meta, MetadataError, Secrets as _};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use uuid::Uuid;

/// Where the store keeps them.
const NAME: &str = "token-signing-keys";
/// For how long a key signs.
const SIGNS: Duration = Duration::from_secs(30 * 24 * 3_600);
/// How often an unknown key makes us look into the store.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// Replicas that may make a key at the same instant: each beaten one reads what the other wrote.
const ATTEMPTS: usize = 16;

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum SigningKeyError {
    /// The store failed.
    #[error("the token signing keys cannot be read or written")]
    Store(#[from] MetadataError),
    /// What it holds is not what this release writes.
    #[error("the token signing keys in the metadata store cannot be understood")]
    Unreadable(#[from] serde_json::Error),
    /// A key that is none.
    #[error("a token signing key in the metadata store is damaged")]
    Damaged,
    /// No key could be made.
    #[error("no token signing key could be made")]
    Make,
    /// Others write all the time.
    #[error("the token signing keys are being changed by others all the time")]
    Contended,
}

/// One key.
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) private: EncodingKey,
    pub(crate) public: DecodingKey,
}

/// The keys in force.
struct Keys {
    signing: Arc<Key>,
    all: HashMap<String, Arc<Key>>,
}

/// The keys, and where they come from.
pub(crate) struct KeyRing {
    metadata: Meta,
    /// A key is kept for so long after it has stopped to sign.
    outlives: Duration,
    keys: ArcSwap<Keys>,
    looked: Mutex<Instant>,
}

/// What the store holds.
#[derive(Serialize, Deserialize, Default)]
struct Stored {
    keys: Vec<StoredKey>,
}

#[derive(Serialize, Deserialize, Clone)]
struct StoredKey {
    kid: String,
    /// Seconds since 1970.
    created: u64,
    /// PKCS#8 (RFC 5958), in base64.
    pkcs8: String,
}

impl KeyRing {
    pub(super) async fn open(metadata: Meta, outlives: Duration) -> Result<Self, SigningKeyError> {
        let keys = current(&metadata, outlives, SystemTime::now()).await?;
        Ok(Self {
            metadata,
            outlives,
            keys: ArcSwap::from_pointee(keys),
            looked: Mutex::new(Instant::now()),
        })
    }

    pub(super) async fn tend(&self, now: SystemTime) -> Result<(), SigningKeyError> {
        let keys = current(&self.metadata, self.outlives, now).await?;
        self.keys.store(Arc::new(keys));
        Ok(())
    }

    pub(super) fn signing(&self) -> Arc<Key> {
        Arc::clone(&self.keys.load().signing)
    }

    /// The key of an id. One that is not known may be another replica's newest: that is looked for,
    /// though not more often than every few seconds.
    pub(super) async fn find(&self, id: &str) -> Option<Arc<Key>> {
        if let Some(key) = self.keys.load().all.get(id) {
            return Some(Arc::clone(key));
        }
        // Ours are UUIDs: another issuer's token makes no query.
        Uuid::parse_str(id).ok()?;
        let mut looked = self.looked.lock().await;
        if looked.elapsed() >= LOOK_AGAIN {
            *looked = Instant::now();
            if let Err(error) = self.tend(SystemTime::now()).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "token signing keys cannot be read again"
                );
            }
        }
        self.keys.load().all.get(id).cloned()
    }
}

/// Reads the keys; makes one where the newest has signed for long, and drops those whose tokens have
/// all ended.
async fn current(
    metadata: &Meta,
    outlives: Duration,
    now: SystemTime,
) -> Result<Keys, SigningKeyError> {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    for _ in 0..ATTEMPTS {
        let row = metadata.secret(NAME).await?;
        let version = row.as_ref().map(|row| row.version);
        let stored: Stored = match &row {
            Some(row) => serde_json::from_slice(&row.value)?,
            None => Stored::default(),
        };
        let newest = stored.keys.iter().map(|key| key.created).max();
        if newest.is_some_and(|newest| now < newest.saturating_add(SIGNS.as_secs())) {
            return Keys::read(&stored);
        }
        let kept_for = SIGNS.as_secs().saturating_add(outlives.as_secs());
        let mut keys = stored.keys;
        keys.retain(|key| now < key.created.saturating_add(kept_for));
        keys.push(StoredKey::make(now)?);
        let stored = Stored { keys };
        let value = Bytes::from(serde_json::to_vec(&stored)?);
        if metadata.swap_secret(NAME, version, Some(value)).await? {
            tracing::info!("a new token signing key is in force");
            return Keys::read(&stored);
        }
    }
    Err(SigningKeyError::Contended)
}

impl Keys {
    fn read(stored: &Stored) -> Result<Self, SigningKeyError> {
        let mut all = HashMap::new();
        let mut newest: Option<(u64, Arc<Key>)> = None;
        for stored in &stored.keys {
            let key = Arc::new(stored.read()?);
            all.insert(key.id.clone(), Arc::clone(&key));
            if newest
                .as_ref()
                .is_none_or(|(created, _)| *created <= stored.created)
            {
                newest = Some((stored.created, key));
            }
        }
        let (_, signing) = newest.ok_or(SigningKeyError::Damaged)?;
        Ok(Self { signing, all })
    }
}

impl StoredKey {
    fn make(now: u64) -> Result<Self, SigningKeyError> {
        let random = aws_lc_rs::rand::SystemRandom::new();
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&random).map_err(|_| SigningKeyError::Make)?;
        Ok(Self {
            kid: Uuid::new_v4().to_string(),
            created: now,
            pkcs8: BASE64_STANDARD.encode(pkcs8.as_ref()),
        })
    }

    fn read(&self) -> Result<Key, SigningKeyError> {
        let pkcs8 = BASE64_STANDARD
            .decode(&self.pkcs8)
            .map_err(|_| SigningKeyError::Damaged)?;
        let pair = Ed25519KeyPair::from_pkcs8(&pkcs8).map_err(|_| SigningKeyError::Damaged)?;
        Ok(Key {
            id: self.kid.clone(),
            private: EncodingKey::from_ed_der(&pkcs8),
            public: DecodingKey::from_ed_der(pair.public_key().as_ref()),
        })
    }
}
