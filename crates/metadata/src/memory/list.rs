//! Lists: tags, repositories, referrers, journal lines.

use std::ops::Bound;

use roadstead_oci::{Digest, RepositoryName, Tag};

use crate::journal::JournalRow;
use crate::page::Page;
use crate::rows::{Referrer, RepositoryId};

use super::state::State;

impl State {
    /// The repository's tags in byte order, with what they point to.
    pub(super) fn tags_of(
        &self,
        repository: RepositoryId,
    ) -> impl Iterator<Item = (&Tag, &Digest)> {
        self.tags.get(&repository).into_iter().flatten()
    }

    pub(super) fn tags(
        &self,
        name: &RepositoryName,
        after: Option<&str>,
        limit: u32,
    ) -> Option<Page<Tag>> {
        let repository = self
            .repositories
            .get(name)
            .filter(|repository| repository.listed)?;
        let tags = self.tags_of(repository.id).map(|(tag, _)| tag);
        let rest = tags.filter(|tag| after.is_none_or(|after| tag.as_str() > after));
        Some(Page::cut(
            rest.take(limit as usize + 1).cloned().collect(),
            limit,
        ))
    }

    pub(super) fn repositories(&self, after: Option<&str>, limit: u32) -> Page<RepositoryName> {
        let listed = self
            .repositories
            .iter()
            .filter(|(_, repository)| repository.listed);
        let rest = listed.filter(|(name, _)| after.is_none_or(|after| name.as_str() > after));
        let names = rest.map(|(name, _)| name.clone());
        Page::cut(names.take(limit as usize + 1).collect(), limit)
    }

    pub(super) fn referrers(
        &self,
        name: &RepositoryName,
        subject: &Digest,
        artifact_type: Option<&str>,
        after: Option<&Digest>,
        limit: u32,
        bytes_max: usize,
    ) -> Page<Referrer> {
        let Some(repository) = self.repository(name) else {
            return Page::empty();
        };
        let Some(referring) = self.referrers.get(&(repository, *subject)) else {
            return Page::empty();
        };
        let start = after.map_or(Bound::Unbounded, |after| Bound::Excluded(*after));
        let mut page = Page::empty();
        let mut bytes = 0;
        for digest in referring.range((start, Bound::Unbounded)) {
            let Some(manifest) = self.manifest_row(repository, digest) else {
                continue;
            };
            let Some(descriptor) = &manifest.referrer else {
                continue;
            };
            if artifact_type.is_some_and(|wanted| manifest.artifact_type.as_deref() != Some(wanted))
            {
                continue;
            }
            bytes += descriptor.len();
            let full = page.items.len() >= limit as usize;
            if full || (bytes > bytes_max && !page.items.is_empty()) {
                page.more = true;
                break;
            }
            page.items.push(Referrer {
                digest: *digest,
                descriptor: descriptor.clone(),
            });
        }
        page
    }

    pub(super) fn lines(&self, after_seq: u64, limit: u32) -> Vec<JournalRow> {
        let start = self.journal.partition_point(|line| line.seq <= after_seq);
        self.journal
            .iter()
            .skip(start)
            .take(limit as usize)
            .cloned()
            .collect()
    }
}
