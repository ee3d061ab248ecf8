//! Lists: keyset pages over ordered indexes.

use roadstead_oci::{Digest, RepositoryName, Tag};
use rusqlite::{Connection, Params};

use crate::error::MetadataError;
use crate::page::Page;
use crate::rows::Referrer;

use super::repository;
use super::statement::{bytes, digest, many, one_more, repository_name, tag};

pub(super) fn tags(
    connection: &Connection,
    name: &RepositoryName,
    after: &str,
    limit: u32,
) -> Result<Option<Page<Tag>>, MetadataError> {
    let repository = repository::find(connection, name)?.filter(|found| found.listed);
    let Some(repository) = repository else {
        return Ok(None);
    };
    let parameters = (repository.id.as_i64(), after, one_more(limit));
    let tags = many(connection, TAGS, parameters, |row| tag(row, 0))?;
    Ok(Some(Page::cut(tags, limit)))
}

pub(super) fn repositories(
    connection: &Connection,
    after: &str,
    limit: u32,
) -> Result<Page<RepositoryName>, MetadataError> {
    let parameters = (after, one_more(limit));
    let names = many(connection, REPOSITORIES, parameters, |row| {
        repository_name(row, 0)
    })?;
    Ok(Page::cut(names, limit))
}

/// What a page of referrers is asked for by.
pub(super) struct Wanted {
    pub(super) repository: RepositoryName,
    pub(super) subject: Digest,
    pub(super) artifact_type: Option<String>,
    pub(super) after: Option<Digest>,
    pub(super) limit: u32,
    pub(super) bytes_max: usize,
}

pub(super) fn referrers(
    connection: &Connection,
    wanted: &Wanted,
) -> Result<Page<Referrer>, MetadataError> {
    let Some(repository) = repository::find(connection, &wanted.repository)? else {
        return Ok(Page::empty());
    };
    let subject = wanted.subject.to_string();
    let after = wanted
        .after
        .map(|after| after.to_string())
        .unwrap_or_default();
    let (id, limit) = (repository.id.as_i64(), one_more(wanted.limit));
    match &wanted.artifact_type {
        None => page(connection, REFERRERS, (id, subject, after, limit), wanted),
        Some(of_type) => page(
            connection,
            REFERRERS_OF_TYPE,
            (id, subject, after, limit, of_type),
            wanted,
        ),
    }
}

/// Reads until the page is full by number or by bytes; one descriptor always fits.
fn page(
    connection: &Connection,
    sql: &str,
    parameters: impl Params,
    wanted: &Wanted,
) -> Result<Page<Referrer>, MetadataError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(parameters)?;
    let mut page = Page::empty();
    let mut size = 0;
    while let Some(row) = rows.next()? {
        let referrer = Referrer {
            digest: digest(row, 0)?,
            descriptor: bytes(row, 1)?,
        };
        size += referrer.descriptor.len();
        let full = page.items.len() >= usize::try_from(wanted.limit).unwrap_or(usize::MAX);
        if full || (size > wanted.bytes_max && !page.items.is_empty()) {
            page.more = true;
            break;
        }
        page.items.push(referrer);
    }
    Ok(page)
}

const TAGS: &str = include_str!("../sql/sqlite/tag/list.sql");
const REPOSITORIES: &str = include_str!("../sql/sqlite/repository/list.sql");
const REFERRERS: &str = include_str!("../sql/sqlite/manifest/referrers.sql");
const REFERRERS_OF_TYPE: &str = include_str!("../sql/sqlite/manifest/referrers_of_type.sql");
