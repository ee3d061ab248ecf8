//! Shared secrets and accounts.

use std::ops::Bound;

use bytes::Bytes;

use crate::account::{AccountChange, AccountKind, AccountRow, Accounts, NewAccount};
use crate::change::Origin;
use crate::error::MetadataError;
use crate::journal::{AccountEntry, Change};
use crate::page::Page;
use crate::secret::{self, SecretRow, Secrets};

use super::state::State;
use super::{MemoryMetadata, Moment};

impl Secrets for MemoryMetadata {
    async fn secret(&self, name: &str) -> Result<Option<SecretRow>, MetadataError> {
        Ok(self.state().secrets.get(name).cloned())
    }

    async fn swap_secret(
        &self,
        name: &str,
        expected: Option<u64>,
        value: Option<Bytes>,
    ) -> Result<bool, MetadataError> {
        secret::check(name, value.as_ref())?;
        Ok(self.state().swap_secret(name, expected, value))
    }
}

impl Accounts for MemoryMetadata {
    async fn create_account(&self, account: NewAccount) -> Result<bool, MetadataError> {
        let (mut state, moment) = self.change();
        state.create_account(moment, account)
    }

    async fn account(
        &self,
        kind: AccountKind,
        name: &str,
    ) -> Result<Option<AccountRow>, MetadataError> {
        let key = (kind, name.to_owned());
        Ok(self.state().accounts.get(&key).cloned())
    }

    async fn account_by_id(&self, id: &str) -> Result<Option<AccountRow>, MetadataError> {
        let state = self.state();
        let found = state.accounts.values().find(|row| row.id == id);
        Ok(found.cloned())
    }

    async fn accounts(
        &self,
        kind: AccountKind,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<AccountRow>, MetadataError> {
        let state = self.state();
        let start = Bound::Excluded((kind, after.unwrap_or_default().to_owned()));
        let rest = state.accounts.range((start, Bound::Unbounded));
        let rows = rest.map(|(_, row)| row).filter(|row| row.kind == kind);
        let rows = rows.take(limit as usize + 1).cloned();
        Ok(Page::cut(rows.collect(), limit))
    }

    async fn change_account(
        &self,
        kind: AccountKind,
        name: &str,
        change: AccountChange,
        origin: Origin,
    ) -> Result<Option<AccountRow>, MetadataError> {
        let (mut state, moment) = self.change();
        state.change_account(moment, (kind, name.to_owned()), change, &origin)
    }

    async fn remove_account(
        &self,
        kind: AccountKind,
        name: &str,
        origin: Origin,
    ) -> Result<bool, MetadataError> {
        let (mut state, moment) = self.change();
        let Some(row) = state.accounts.remove(&(kind, name.to_owned())) else {
            return Ok(false);
        };
        let entry = AccountEntry::of(Change::AccountRemove, &row);
        state.write_account_line(moment, &entry, &origin);
        Ok(true)
    }
}

impl State {
    fn swap_secret(&mut self, name: &str, expected: Option<u64>, value: Option<Bytes>) -> bool {
        if self.secrets.get(name).map(|row| row.version) != expected {
            return false;
        }
        self.secrets.remove(name);
        if let Some(value) = value {
            self.last_secret += 1;
            let version = self.last_secret;
            let row = SecretRow { value, version };
            self.secrets.insert(name.to_owned(), row);
        }
        true
    }

    fn create_account(&mut self, moment: Moment, new: NewAccount) -> Result<bool, MetadataError> {
        let key = (new.kind, new.name.clone());
        if self.accounts.contains_key(&key) {
            return Ok(false);
        }
        let origin = new.origin.clone();
        let row = AccountRow::of(new, moment.now);
        row.check()?;
        self.own_id(&row)?;
        let entry = AccountEntry::of(Change::AccountCreate, &row);
        let version = self.write_account_line(moment, &entry, &origin);
        self.accounts.insert(key, AccountRow { version, ..row });
        Ok(true)
    }

    fn change_account(
        &mut self,
        moment: Moment,
        key: (AccountKind, String),
        change: AccountChange,
        origin: &Origin,
    ) -> Result<Option<AccountRow>, MetadataError> {
        let Some(mut row) = self.accounts.get(&key).cloned() else {
            return Ok(None);
        };
        let changed = row.apply(change, moment.now);
        if changed.is_empty() {
            return Ok(Some(row));
        }
        row.check()?;
        self.own_id(&row)?;
        let entry = AccountEntry::changed(&row, changed);
        row.version = self.write_account_line(moment, &entry, origin);
        self.accounts.insert(key, row.clone());
        Ok(Some(row))
    }

    /// Refuses an id that another account has.
    fn own_id(&self, row: &AccountRow) -> Result<(), MetadataError> {
        let other = |other: &AccountRow| (other.kind, &other.name) != (row.kind, &row.name);
        let taken = self
            .accounts
            .values()
            .any(|it| it.id == row.id && other(it));
        if taken {
            return Err(MetadataError::Misuse("another account has this id"));
        }
        Ok(())
    }
}
