//! The store in a directory, which replicas may share as far as its file system has locks.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rustix::fs::{FlockOperation, flock};

use super::store::{AcmeStore, AcmeStoreError, Stored};

/// A directory with a file for each value: the version in a line, then the value.
#[derive(Debug, Clone)]
pub struct AcmeDirectory {
    path: PathBuf,
}

/// Bytes of a value at most.
const BYTES_MAX: u64 = 1 << 20;

/// Before the names of files, which may stand beside those of another program.
const PREFIX: &str = "roadstead-";

impl AcmeDirectory {
    /// Uses a directory, and makes it where it is not there.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn open(path: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let directory = Self {
            path: path.to_owned(),
        };
        // What cannot be written to is found at the start, not at the first certificate.
        directory.lock()?;
        Ok(directory)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(format!("{PREFIX}{name}"))
    }

    /// Held by one process at a time, for as long as the file is open.
    fn lock(&self) -> io::Result<File> {
        let lock = private().open(self.file("lock"))?;
        flock(&lock, FlockOperation::LockExclusive)?;
        Ok(lock)
    }

    fn read(&self, name: &str) -> io::Result<Option<Stored>> {
        let file = match File::open(self.file(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let mut bytes = Vec::new();
        file.take(BYTES_MAX + 32).read_to_end(&mut bytes)?;
        let broken = || io::Error::new(io::ErrorKind::InvalidData, "a file is not as it was left");
        let end = bytes.iter().position(|b| *b == b'\n').ok_or_else(broken)?;
        let version = std::str::from_utf8(&bytes[..end])
            .ok()
            .and_then(|text| text.parse().ok())
            .filter(|version| *version > 0)
            .ok_or_else(broken)?;
        bytes.drain(..=end);
        Ok(Some(Stored { bytes, version }))
    }

    /// Compares and swaps, durably: a new file takes the old one's place.
    fn swap(&self, name: &str, bytes: &[u8], expected: Option<u64>) -> io::Result<bool> {
        let _lock = self.lock()?;
        let version = self.read(name)?.map(|stored| stored.version);
        if version != expected {
            return Ok(false);
        }
        let new = self.file(&format!("{name}.new"));
        let mut file = private().truncate(true).open(&new)?;
        file.write_all(format!("{}\n", version.unwrap_or(0) + 1).as_bytes())?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&new, self.file(name))?;
        File::open(&self.path)?.sync_all()?;
        Ok(true)
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> io::Result<T> + Send + 'static,
    ) -> Result<T, AcmeStoreError> {
        let directory = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&directory)).await;
        done.map_err(AcmeStoreError::new)?.map_err(|source| {
            let path = self.path.display();
            AcmeStoreError::new(format!("cannot use the directory {path}: {source}"))
        })
    }
}

impl AcmeStore for AcmeDirectory {
    fn load<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Stored>, AcmeStoreError>> {
        let name = name.to_owned();
        self.blocking(move |directory| directory.read(&name))
            .boxed()
    }

    fn store<'a>(
        &'a self,
        name: &'a str,
        bytes: Vec<u8>,
        expected: Option<u64>,
    ) -> BoxFuture<'a, Result<bool, AcmeStoreError>> {
        let name = name.to_owned();
        self.blocking(move |directory| directory.swap(&name, &bytes, expected))
            .boxed()
    }
}

/// Opens for nobody else to read.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn a_value_changes_only_from_the_version_that_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b");
        let store = AcmeDirectory::open(&path).unwrap();
        assert!(store.load("x").await.unwrap().is_none());
        assert!(!store.store("x", b"1".to_vec(), Some(1)).await.unwrap());
        assert!(store.store("x", b"1\n2".to_vec(), None).await.unwrap());
        assert!(!store.store("x", b"3".to_vec(), None).await.unwrap());
        let stored = store.load("x").await.unwrap().unwrap();
        assert_eq!((stored.bytes.as_slice(), stored.version), (&b"1\n2"[..], 1));
        let again = AcmeDirectory::open(&path).unwrap();
        assert!(again.store("x", Vec::new(), Some(1)).await.unwrap());
        let stored = store.load("x").await.unwrap().unwrap();
        assert_eq!((stored.bytes.as_slice(), stored.version), (&b""[..], 2));
        for file in std::fs::read_dir(&path).unwrap() {
            let mode = file.unwrap().metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0);
        }
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0);
    }

    #[tokio::test]
    async fn of_many_at_once_one_wins() {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(AcmeDirectory::open(directory.path()).unwrap());
        for round in 0..5 {
            let version = (round > 0).then_some(round);
            let tries = (0..8_u8).map(|i| {
                let store = Arc::clone(&store);
                tokio::spawn(async move { store.store("x", vec![i], version).await.unwrap() })
            });
            let mut won = 0;
            for done in tries.collect::<Vec<_>>() {
                won += usize::from(done.await.unwrap());
            }
            assert_eq!(won, 1);
        }
    }

    #[tokio::test]
    async fn what_is_broken_is_an_error_and_not_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let store = AcmeDirectory::open(directory.path()).unwrap();
        for content in ["", "1", "x\n", "0\n", "-1\n"] {
            std::fs::write(store.file("x"), content).unwrap();
            assert!(store.load("x").await.is_err(), "{content:?}");
            assert!(
                store.store("x", Vec::new(), None).await.is_err(),
                "{content:?}"
            );
        }
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(AcmeDirectory::open(&file).is_err());
    }
}
