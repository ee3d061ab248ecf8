//! What only the database promises: its files, its one writer, its plans, its fences.

mod account_store;
mod copy;
mod failure;
mod files;
mod group_commit;
mod plans;
mod rows;

use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};

use roadstead_oci::{Digest, RepositoryName};
use tempfile::TempDir;

use crate::contract::{HORIZONS, START};
use crate::{ManualClock, MetadataError, SqliteMetadata, Timestamp};

use super::statement::one;

/// What tests look at that no caller can see.
impl SqliteMetadata {
    pub(crate) fn blob_lease(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Option<Timestamp> {
        self.lease("blob", repository, digest)
    }

    pub(crate) fn manifest_lease(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Option<Timestamp> {
        self.lease("manifest", repository, digest)
    }

    fn lease(&self, of: &str, repository: &RepositoryName, digest: &Digest) -> Option<Timestamp> {
        let sql = format!(
            "SELECT x.lease_until FROM {of} x JOIN repository r ON r.id = x.repository_id
            WHERE r.name = ?1 AND x.digest = ?2"
        );
        let parameters = (repository.as_str(), digest.to_string());
        self.read(|connection| one(connection, &sql, parameters, |row| Ok(row.get(0)?)))
            .unwrap()
            .map(Timestamp::from_micros)
    }

    /// Queries that must find nothing, and did.
    pub(crate) fn broken_invariants(&self) -> Vec<String> {
        let broken = INVARIANTS.iter().filter(|(_, sql)| self.count(sql) > 0);
        broken
            .map(|(invariant, _)| (*invariant).to_owned())
            .collect()
    }

    /// The number of rows that a query gives.
    fn count(&self, sql: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM ({sql})");
        let count = |connection: &_| one(connection, &sql, [], |row| Ok(row.get(0)?));
        self.read(count).unwrap().unwrap()
    }
}

/// See `metadata.rs` for I1 to I5.
const INVARIANTS: &[(&str, &str)] = &[
    (
        "every reference leads to a row",
        "SELECT * FROM pragma_foreign_key_check",
    ),
    (
        "I3: a linked digest has an object",
        "SELECT 1 FROM blob WHERE digest NOT IN (SELECT digest FROM object)",
    ),
    (
        "I4: a visible blob is held by whoever names it",
        "SELECT 1 FROM manifest_blob e
        JOIN visible_blob b ON b.repository_id = e.repository_id AND b.digest = e.digest
        WHERE e.blob_id IS NOT b.id",
    ),
    (
        "I4: a visible manifest is held by the indexes that name it",
        "SELECT 1 FROM manifest_child e
        JOIN visible_manifest m ON m.repository_id = e.repository_id AND m.digest = e.digest
        WHERE e.child_id IS NOT m.id",
    ),
    (
        "a tag leads to a visible manifest of its repository",
        "SELECT 1 FROM tag t JOIN manifest m ON m.id = t.manifest_id
        WHERE m.deleted_at IS NOT NULL OR m.repository_id <> t.repository_id",
    ),
    (
        "I5: a key is in one table",
        "SELECT key FROM (
            SELECT key FROM object WHERE key IS NOT NULL
            UNION ALL SELECT key FROM upload
            UNION ALL SELECT key FROM trash
        ) GROUP BY key HAVING count(*) > 1",
    ),
    (
        "the tally is the number of sessions",
        "SELECT principal, count(*) FROM upload GROUP BY principal
        EXCEPT SELECT principal, sessions FROM upload_tally",
    ),
    (
        "the tally names nobody without sessions",
        "SELECT principal FROM upload_tally EXCEPT SELECT principal FROM upload",
    ),
];

/// A directory for a database.
struct Place {
    directory: TempDir,
}

impl Place {
    fn new() -> Place {
        Place {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn database(&self) -> PathBuf {
        self.file("roadstead.db")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn open(&self) -> Result<SqliteMetadata, MetadataError> {
        open(&self.database(), false)
    }

    /// Changes the database without this program.
    fn tamper(&self, sql: &str) {
        let connection = rusqlite::Connection::open(self.database()).unwrap();
        connection.execute_batch(sql).unwrap();
    }
}

fn open(path: &Path, objects_exist: bool) -> Result<SqliteMetadata, MetadataError> {
    let clock = Arc::new(ManualClock::new(START));
    SqliteMetadata::open(path, objects_exist, HORIZONS, clock)
}

/// Keeps the writer busy until it is told to go on: what is asked for meanwhile waits.
struct Gate {
    open: mpsc::Sender<()>,
}

impl Gate {
    async fn closed(sqlite: &SqliteMetadata) -> Gate {
        let (open, closed) = mpsc::channel::<()>();
        let (entered, reached) = tokio::sync::oneshot::channel();
        let sqlite = sqlite.clone();
        tokio::spawn(async move {
            let wait = sqlite.write(move |_| {
                entered.send(()).unwrap();
                // Ends when the gate is dropped.
                let _closed = closed.recv();
                Ok(())
            });
            wait.await
        });
        reached.await.unwrap();
        Gate { open }
    }

    fn open(self) {
        drop(self.open);
    }
}

/// The number of queued changes, which is what was asked for and not yet taken.
async fn queued(sqlite: &SqliteMetadata, changes: usize) {
    while sqlite.shared.writer.waiting() < changes {
        tokio::task::yield_now().await;
    }
}
