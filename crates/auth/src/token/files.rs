//! Files of keys, in force within a second of a change. A broken one keeps the keys of before.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption};
use rustls::pki_types::pem;

use super::TokenSetupError;
use crate::fetch::chain;
use crate::jose::{JwksError, KeyError, KeySet, parse_jwks};
use crate::watched::{ReadProblem, WatchedFile};

/// Bytes of a file at most.
const MAX_BYTES: u64 = 4 << 20;

/// Why a file of keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileProblem {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] ReadProblem),
    /// It is not PEM, or ends in the middle.
    #[error("it is not a file of certificates in PEM: {0}")]
    Pem(pem::Error),
    /// One of the certificates is none.
    #[error("certificate {number} of it cannot be read")]
    Certificate {
        /// Counted from 1.
        number: usize,
    },
    /// One of the certificates has a key that is none.
    #[error("the key of certificate {number} of it cannot be used: {problem}")]
    CertificateKey {
        /// Counted from 1.
        number: usize,
        /// What is wrong with the key.
        problem: KeyError,
    },
    /// There is no key in it.
    #[error("it has no certificate with a key that is supported")]
    NoCertificate,
    /// It is not a key set.
    #[error(transparent)]
    Jwks(#[from] JwksError),
}

/// What a file of keys is read into.
pub(super) trait Keys: Sized + Send + Sync + 'static {
    /// Reads a file.
    fn parse(bytes: &[u8]) -> Result<Self, KeyFileProblem>;
    /// How many keys there are.
    fn count(&self) -> usize;
}

/// A file of keys.
pub(super) struct KeyFile<T> {
    file: Arc<WatchedFile>,
    keys: ArcSwap<T>,
    problem: ArcSwapOption<String>,
    generation: AtomicU64,
}

impl<T: Keys> KeyFile<T> {
    /// Reads the file for the first time. Blocks.
    pub(super) fn open(path: &Path) -> Result<Arc<Self>, TokenSetupError> {
        let read = || {
            let (file, bytes) = WatchedFile::open(path, MAX_BYTES)?;
            Ok((file, T::parse(&bytes)?))
        };
        let (file, keys) = read().map_err(|problem| TokenSetupError::KeyFile {
            path: path.to_owned(),
            problem,
        })?;
        Ok(Arc::new(Self {
            file: Arc::new(file),
            keys: ArcSwap::from_pointee(keys),
            problem: ArcSwapOption::empty(),
            generation: AtomicU64::new(0),
        }))
    }

    /// Reads the file again where it is time to and it has changed.
    pub(super) async fn look(self: &Arc<Self>) {
        let this = Arc::clone(self);
        self.file.look(move || this.refresh()).await;
    }

    pub(super) fn load(&self) -> Arc<T> {
        self.keys.load_full()
    }

    pub(super) fn problem(&self) -> Option<String> {
        self.problem.load().as_deref().cloned()
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Blocks.
    pub(super) fn refresh(&self) {
        if let Err(problem) = self.reread() {
            self.report(&problem);
        }
    }

    fn reread(&self) -> Result<(), KeyFileProblem> {
        let Some(bytes) = self.file.changed()? else {
            return Ok(());
        };
        let keys = T::parse(&bytes)?;
        tracing::info!(
            path = %self.file.path().display(),
            keys = keys.count(),
            "the key file has changed and is in force"
        );
        self.keys.store(Arc::new(keys));
        self.problem.store(None);
        self.generation.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Logs a problem once, however often it is met.
    fn report(&self, problem: &KeyFileProblem) {
        let path = self.file.path().display();
        let problem = match problem {
            KeyFileProblem::Read(problem) => problem.told(),
            problem => chain(problem),
        };
        let told = format!("the key file {path} cannot be used: {problem}");
        if self.problem().as_ref() == Some(&told) {
            return;
        }
        tracing::error!(
            %path,
            problem,
            "the key file has changed and cannot be used; the keys of before stay"
        );
        self.problem.store(Some(Arc::new(told)));
    }
}

impl Keys for KeySet {
    /// In a file, which somebody wrote, one broken key is a slip that is to be told.
    fn parse(bytes: &[u8]) -> Result<Self, KeyFileProblem> {
        let set = parse_jwks(bytes)?;
        match set.broken.first() {
            Some(broken) => Err(JwksError::Broken(*broken).into()),
            None => Ok(set.keys),
        }
    }

    fn count(&self) -> usize {
        self.len()
    }
}
