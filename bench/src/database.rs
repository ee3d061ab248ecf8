//! Large databases, made through the same transactions that pushes use.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use roadstead_metadata::{
    Horizons, Metadata as _, NewManifest, Origin, PutManifest, SqliteMetadata, SystemClock,
};
use roadstead_oci::{Algorithm, Digest, MediaType, RepositoryName, Tag};

use crate::content::{MANIFEST_TYPE, Noise};

/// Transactions that are under way at a time: they share flushes.
const AT_A_TIME: usize = 1_000;
/// Tags that one transaction sets.
const TAGS_AT_A_TIME: u32 = 10_000;
/// Manifests of one repository.
const MANIFESTS_EACH: u32 = 100;
/// Bytes of a manifest.
const MANIFEST_BYTES: usize = 1_200;

/// Opens the database at this path, or makes it.
///
/// # Errors
/// Those of the database.
pub(crate) fn open(path: &Path) -> Result<SqliteMetadata> {
    let clock = Arc::new(SystemClock);
    Ok(SqliteMetadata::open(
        path,
        false,
        Horizons::default(),
        clock,
    )?)
}

/// The name of the n-th repository; names are in the order of their numbers.
pub(crate) fn repository(number: u32) -> Result<RepositoryName> {
    Ok(RepositoryName::parse(&format!(
        "bench/team-{:04}/app-{number:08}",
        number / 1_000
    ))?)
}

/// The n-th tag, likewise.
pub(crate) fn tag(number: u32) -> Result<Tag> {
    Ok(Tag::parse(&format!("v1.0.{number:08}"))?)
}

/// Stores manifests, a hundred in each repository, each with a tag of its own.
///
/// # Errors
/// Those of the database.
pub(crate) async fn add_manifests(database: &SqliteMetadata, count: u32) -> Result<()> {
    stream::iter(0..count)
        .map(|number| async move {
            let repository = repository(number / MANIFESTS_EACH)?;
            put(
                database,
                repository,
                number,
                MANIFEST_BYTES,
                vec![tag(number)?],
            )
            .await
        })
        .buffer_unordered(AT_A_TIME)
        .try_collect()
        .await
}

/// Makes repositories of one small manifest each.
///
/// # Errors
/// Those of the database.
pub(crate) async fn add_repositories(database: &SqliteMetadata, count: u32) -> Result<()> {
    stream::iter(0..count)
        .map(
            |number| async move { put(database, repository(number)?, number, 2, Vec::new()).await },
        )
        .buffer_unordered(AT_A_TIME)
        .try_collect()
        .await
}

/// Gives one manifest of a repository so many tags.
///
/// # Errors
/// Those of the database.
pub(crate) async fn add_tags(
    database: &SqliteMetadata,
    repository: &RepositoryName,
    count: u32,
) -> Result<()> {
    for first in (0..count).step_by(TAGS_AT_A_TIME as usize) {
        let end = count.min(first + TAGS_AT_A_TIME);
        let tags = (first..end).map(tag).collect::<Result<_>>()?;
        put(database, repository.clone(), 0, MANIFEST_BYTES, tags).await?;
    }
    Ok(())
}

async fn put(
    database: &SqliteMetadata,
    repository: RepositoryName,
    number: u32,
    length: usize,
    tags: Vec<Tag>,
) -> Result<()> {
    let mut noise = Noise::new(number.into());
    let hash = noise.bytes(Algorithm::Sha256.digest_len());
    let manifest = NewManifest {
        repository,
        digest: Digest::from_bytes(Algorithm::Sha256, &hash).context("no digest")?,
        media_type: MediaType::parse(MANIFEST_TYPE)?,
        artifact_type: None,
        subject: None,
        body: Bytes::from(noise.bytes(length)),
        referrer: None,
        blobs: Vec::new(),
        children: Vec::new(),
        tags,
        overwrite: true,
        origin: Origin::default(),
    };
    let stored = database.put_manifest(manifest).await?;
    ensure!(matches!(stored, PutManifest::Stored { .. }), "{stored:?}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_added_can_be_listed() {
        let directory = tempfile::tempdir().unwrap();
        let database = open(&directory.path().join("roadstead.db")).unwrap();
        add_manifests(&database, 250).await.unwrap();
        let listed = database.repositories(None, 10).await.unwrap().items;
        assert_eq!(listed, [0, 1, 2].map(|number| repository(number).unwrap()));

        let one = repository(9).unwrap();
        add_tags(&database, &one, TAGS_AT_A_TIME + 5).await.unwrap();
        // The tags around the end of the first transaction.
        let before = tag(TAGS_AT_A_TIME - 2).unwrap();
        let page = database.tags(&one, Some(before.as_str()), 10).await;
        let expected: Vec<Tag> = (TAGS_AT_A_TIME - 1..TAGS_AT_A_TIME + 5)
            .map(|number| tag(number).unwrap())
            .collect();
        assert_eq!(page.unwrap().unwrap().items, expected);
    }
}
