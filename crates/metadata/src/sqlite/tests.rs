//! What only a database file has: locks, damage, schemas, plans, and commits that are shared.

use std::fs;
use std::sync::Arc;

use rusqlite::Connection;

use super::*;
use crate::contract::{Fixture, digest, image, name, sqlite};
use crate::{MetadataError, SystemClock, Timestamp};

impl SqliteMetadata {
    /// The lease of a blob's link or of a manifest, visible or not.
    pub(crate) fn lease(
        &self,
        table: &'static str,
        repository: &roadstead_oci::RepositoryName,
        digest: &roadstead_oci::Digest,
    ) -> Option<Timestamp> {
        let sql = format!(
            "SELECT t.lease_until FROM {table} t JOIN repository r ON r.id = t.repository_id \
             WHERE r.name = ?1 AND t.digest = ?2"
        );
        self.read(|connection| {
            let parameters = (repository.as_str(), digest.to_string());
            statement::one(connection, &sql, parameters, |row| statement::time(row, 0))
        })
        .unwrap()
    }
}

fn open(path: &std::path::Path, objects_exist: bool) -> Result<SqliteMetadata, MetadataError> {
    SqliteMetadata::open(
        path,
        objects_exist,
        Horizons::default(),
        Arc::new(SystemClock),
    )
}

async fn filled() -> Fixture {
    let fixture = sqlite();
    fixture.push_blob("a", 1).await;
    fixture.put_tagged(image("a", 10, vec![]), &["v1"]).await;
    fixture
}

/// Closes the database and keeps its directory.
fn close(fixture: Fixture) -> (std::path::PathBuf, impl Sized) {
    let path = fixture.path();
    let Fixture { meta, .. } = &fixture;
    let Meta::Sqlite(sqlite) = meta else {
        panic!("not a database")
    };
    assert_eq!(Arc::strong_count(&sqlite.shared), 1);
    let (directory, meta) = fixture.into_parts();
    drop(meta);
    (path, directory)
}

use crate::Meta;

#[tokio::test]
async fn what_was_committed_is_there_after_the_database_was_opened_again() {
    let (path, _directory) = close(filled().await);
    let again = open(&path, true).unwrap();
    let tag = roadstead_oci::Reference::Tag(crate::contract::tag("v1"));
    let found = crate::Metadata::manifest_summary(&again, &name("a"), &tag)
        .await
        .unwrap();
    assert_eq!(found.unwrap().digest, digest(10));
}

#[tokio::test]
async fn a_second_process_is_refused() {
    let fixture = sqlite();
    let refused = open(&fixture.path(), false).unwrap_err();
    assert!(
        matches!(refused, MetadataError::InUse { .. }),
        "{refused:?}"
    );
}

#[test]
fn objects_without_a_database_are_not_given_an_empty_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("meta.db");
    let refused = open(&path, true).unwrap_err();
    assert!(
        matches!(refused, MetadataError::NoDatabase { .. }),
        "{refused:?}"
    );
    assert!(!path.exists());
}

#[tokio::test]
async fn a_damaged_file_is_refused_and_left_as_it_is() {
    let (path, _directory) = close(filled().await);
    let whole = fs::read(&path).unwrap();
    let garbage = vec![7; whole.len()];
    for bytes in [&[][..], b"short", &garbage, &whole[..whole.len() / 2]] {
        fs::write(&path, bytes).unwrap();
        let refused = open(&path, true).unwrap_err();
        assert!(
            matches!(refused, MetadataError::Damaged { .. }),
            "{refused:?}"
        );
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
}

#[tokio::test]
async fn a_newer_schema_is_refused_before_anything_is_changed() {
    let (path, _directory) = close(filled().await);
    Connection::open(&path)
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    let refused = open(&path, true).unwrap_err();
    assert!(
        matches!(refused, MetadataError::TooNew { found: 99, .. }),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_link_in_place_of_the_database_is_refused() {
    let (path, directory) = close(filled().await);
    let real = path.with_extension("real");
    fs::rename(&path, &real).unwrap();
    std::os::unix::fs::symlink(&real, &path).unwrap();
    let refused = open(&path, true).unwrap_err();
    assert!(
        matches!(refused, MetadataError::NotAFile { .. }),
        "{refused:?}"
    );
    drop(directory);
}

/// A refused change is rolled back alone; those that share its commit stand.
#[tokio::test]
async fn one_refused_change_does_not_undo_its_neighbours() {
    let fixture = sqlite();
    let Meta::Sqlite(meta) = &fixture.meta else {
        panic!("not a database")
    };
    let writes = (0..100_u8).map(|number| {
        let meta = meta.clone();
        tokio::spawn(async move {
            meta.write(move |transaction| {
                let sql = "INSERT INTO repository (name, created_at) VALUES (?1, 0)";
                statement::change(transaction.connection, sql, [format!("r{number}")])?;
                if number % 2 == 0 {
                    Ok(())
                } else {
                    Err(MetadataError::Misuse("odd"))
                }
            })
            .await
        })
    });
    for (number, write) in writes.collect::<Vec<_>>().into_iter().enumerate() {
        assert_eq!(write.await.unwrap().is_ok(), number % 2 == 0);
    }
    let count = meta.read(|connection| {
        Ok(
            connection.query_row("SELECT count(*) FROM repository", [], |row| {
                row.get::<_, i64>(0)
            })?,
        )
    });
    assert_eq!(count.unwrap(), 50);
}

/// Every statement finds its rows by an index: the cost of a request does not depend on how much is
/// stored.
#[test]
fn every_statement_uses_an_index() {
    let fixture = sqlite();
    let connection = Connection::open(fixture.path()).unwrap();
    let mut seen = 0;
    for folder in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/sql/sqlite")).unwrap() {
        for file in fs::read_dir(folder.unwrap().path()).unwrap() {
            let file = file.unwrap().path();
            let sql = fs::read_to_string(&file).unwrap();
            let mut plan = connection
                .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
                .unwrap();
            let parameters = vec![rusqlite::types::Null; plan.parameter_count()];
            let steps = plan
                .query_map(rusqlite::params_from_iter(parameters), |row| {
                    row.get::<_, String>(3)
                })
                .unwrap();
            for step in steps {
                let step = step.unwrap();
                let scan = step.starts_with("SCAN") && !step.contains("CONSTANT ROW");
                let sorts = step.contains("TEMP B-TREE");
                // The counted rows of a bounded subquery are no table.
                let bounded = step.contains("SCAN (subquery");
                assert!((!scan && !sorts) || bounded, "{}: {step}", file.display());
            }
            seen += 1;
        }
    }
    assert!(seen > 40, "{seen} statements");
}

#[tokio::test]
async fn rows_that_are_named_cannot_be_removed() {
    let fixture = filled().await;
    let connection = Connection::open(fixture.path()).unwrap();
    connection
        .pragma_update(None, "foreign_keys", true)
        .unwrap();
    for sql in [
        "DELETE FROM object",
        "DELETE FROM manifest",
        "DELETE FROM repository",
    ] {
        let refused = connection.execute(sql, []).unwrap_err();
        assert!(
            refused.to_string().contains("FOREIGN KEY"),
            "{sql}: {refused}"
        );
    }
}
