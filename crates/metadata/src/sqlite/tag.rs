//! Tags: names that move, within the transaction that moves them.

use roadstead_oci::{Digest, RepositoryName, Tag};

use crate::change::{NewManifest, Origin};
use crate::error::MetadataError;
use crate::journal::{Change, Entry};
use crate::rows::RepositoryId;

use super::statement::{change, digest, one};
use super::writer::Transaction;
use super::{journal, repository};

/// What a tag points to.
struct Target {
    manifest: i64,
    digest: Digest,
}

fn find(
    transaction: &Transaction<'_>,
    repository: RepositoryId,
    tag: &Tag,
) -> Result<Option<Target>, MetadataError> {
    one(
        transaction.connection,
        FIND,
        (repository.as_i64(), tag.as_str()),
        |row| {
            Ok(Target {
                manifest: row.get(0)?,
                digest: digest(row, 1)?,
            })
        },
    )
}

/// The tags of a push that point to another manifest.
pub(super) fn taken(
    transaction: &Transaction<'_>,
    repository: RepositoryId,
    new: &NewManifest,
) -> Result<Vec<Tag>, MetadataError> {
    let mut taken = Vec::new();
    for tag in &new.tags {
        let target = find(transaction, repository, tag)?;
        if target.is_some_and(|target| target.digest != new.digest) {
            taken.push(tag.clone());
        }
    }
    Ok(taken)
}

/// Points every tag of a push to its manifest. One that points there already does not change.
pub(super) fn set(
    transaction: &Transaction<'_>,
    repository: RepositoryId,
    manifest: i64,
    new: &NewManifest,
    content: (&roadstead_oci::MediaType, u64),
) -> Result<(), MetadataError> {
    for tag in &new.tags {
        let previous = find(transaction, repository, tag)?;
        if previous
            .as_ref()
            .is_some_and(|previous| previous.manifest == manifest)
        {
            continue;
        }
        let parameters = (
            repository.as_i64(),
            tag.as_str(),
            manifest,
            transaction.now(),
        );
        transaction.touch_tag(&new.repository, tag);
        change(transaction.connection, SET, parameters)?;
        let entry = Entry::new(Change::TagSet, repository, &new.repository)
            .tag(tag)
            .digest(new.digest)
            .previous(previous.as_ref().map(|previous| previous.digest))
            .content(Some(content.0), content.1);
        journal::write(transaction, &entry, &new.origin)?;
        if let Some(previous) = previous {
            lease_untagged(transaction, previous.manifest)?;
        }
    }
    Ok(())
}

pub(super) fn delete(
    transaction: &Transaction<'_>,
    name: &RepositoryName,
    tag: &Tag,
    origin: &Origin,
) -> Result<bool, MetadataError> {
    let Some(repository) = repository::find(transaction.connection, name)? else {
        return Ok(false);
    };
    let Some(target) = find(transaction, repository.id, tag)? else {
        return Ok(false);
    };
    transaction.touch_tag(name, tag);
    change(
        transaction.connection,
        DELETE,
        (repository.id.as_i64(), tag.as_str()),
    )?;
    let entry = Entry::new(Change::TagDelete, repository.id, name)
        .tag(tag)
        .previous(Some(target.digest));
    journal::write(transaction, &entry, origin)?;
    lease_untagged(transaction, target.manifest)?;
    Ok(true)
}

/// Restarts the lease of a manifest that no tag names any more.
fn lease_untagged(transaction: &Transaction<'_>, manifest: i64) -> Result<(), MetadataError> {
    change(
        transaction.connection,
        LEASE_UNTAGGED,
        (manifest, transaction.lease()),
    )
    .map(drop)
}

const FIND: &str = include_str!("../sql/sqlite/tag/find.sql");
const SET: &str = include_str!("../sql/sqlite/tag/set.sql");
const DELETE: &str = include_str!("../sql/sqlite/tag/delete.sql");
const LEASE_UNTAGGED: &str = include_str!("../sql/sqlite/manifest/lease_untagged.sql");
