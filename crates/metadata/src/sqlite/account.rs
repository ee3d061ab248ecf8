//! Accounts: their rows, within a transaction of the writer or of another process. Nothing of them
//! is kept outside the database.

use rusqlite::{Connection, Row};

use crate::account::{AccountChange, AccountKind, AccountRow, Accounts, NewAccount, PasswordHash};
use crate::change::Origin;
use crate::clock::Timestamp;
use crate::error::MetadataError;
use crate::journal::{AccountEntry, Change};
use crate::page::Page;

use super::error::is_duplicate;
use super::statement::{change, int, many, one, one_more, size, text, time, unreadable};
use super::{SqliteMetadata, journal};

impl Accounts for SqliteMetadata {
    async fn create_account(&self, account: NewAccount) -> Result<bool, MetadataError> {
        self.write(move |transaction| create(transaction.connection, transaction.now, account))
            .await
    }

    async fn account(
        &self,
        kind: AccountKind,
        name: &str,
    ) -> Result<Option<AccountRow>, MetadataError> {
        self.read(|connection| read(connection, kind, name))
    }

    async fn account_by_id(&self, id: &str) -> Result<Option<AccountRow>, MetadataError> {
        self.read(|connection| one(connection, BY_ID, [id], account))
    }

    async fn accounts(
        &self,
        kind: AccountKind,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<AccountRow>, MetadataError> {
        let after = after.unwrap_or_default().to_owned();
        self.read_list(limit, move |connection| {
            list(connection, kind, &after, limit)
        })
        .await
    }

    async fn change_account(
        &self,
        kind: AccountKind,
        name: &str,
        change: AccountChange,
        origin: Origin,
    ) -> Result<Option<AccountRow>, MetadataError> {
        let name = name.to_owned();
        self.write(move |transaction| {
            let (connection, now) = (transaction.connection, transaction.now);
            update(connection, now, kind, &name, change, &origin)
        })
        .await
    }

    async fn remove_account(
        &self,
        kind: AccountKind,
        name: &str,
        origin: Origin,
    ) -> Result<bool, MetadataError> {
        let name = name.to_owned();
        self.write(move |transaction| {
            let (connection, now) = (transaction.connection, transaction.now);
            remove(connection, now, kind, &name, &origin)
        })
        .await
    }
}

pub(super) fn create(
    connection: &Connection,
    now: Timestamp,
    new: NewAccount,
) -> Result<bool, MetadataError> {
    if read(connection, new.kind, &new.name)?.is_some() {
        return Ok(false);
    }
    let origin = new.origin.clone();
    let row = AccountRow::of(new, now);
    row.check()?;
    let entry = AccountEntry::of(Change::AccountCreate, &row);
    let version = journal::write_account(connection, now, &entry, &origin)?;
    let parameters = (
        row.kind.as_str(),
        &row.name,
        &row.id,
        row.hash.as_str(),
        groups_text(&row),
        &row.description,
        row.created_at.as_micros(),
        row.expires_at.map(Timestamp::as_micros),
        row.disabled_at.map(Timestamp::as_micros),
        int(version)?,
    );
    change(connection, INSERT, parameters).map_err(taken)?;
    Ok(true)
}

pub(super) fn read(
    connection: &Connection,
    kind: AccountKind,
    name: &str,
) -> Result<Option<AccountRow>, MetadataError> {
    one(connection, READ, (kind.as_str(), name), account)
}

pub(super) fn list(
    connection: &Connection,
    kind: AccountKind,
    after: &str,
    limit: u32,
) -> Result<Page<AccountRow>, MetadataError> {
    let parameters = (kind.as_str(), after, one_more(limit));
    let rows = many(connection, LIST, parameters, account)?;
    Ok(Page::cut(rows, limit))
}

pub(super) fn update(
    connection: &Connection,
    now: Timestamp,
    kind: AccountKind,
    name: &str,
    change: AccountChange,
    origin: &Origin,
) -> Result<Option<AccountRow>, MetadataError> {
    let Some(mut row) = read(connection, kind, name)? else {
        return Ok(None);
    };
    let changed = row.apply(change, now);
    if changed.is_empty() {
        return Ok(Some(row));
    }
    row.check()?;
    let entry = AccountEntry::changed(&row, changed);
    row.version = journal::write_account(connection, now, &entry, origin)?;
    let parameters = (
        kind.as_str(),
        name,
        &row.id,
        row.hash.as_str(),
        groups_text(&row),
        &row.description,
        row.expires_at.map(Timestamp::as_micros),
        row.disabled_at.map(Timestamp::as_micros),
        int(row.version)?,
    );
    super::statement::change(connection, UPDATE, parameters).map_err(taken)?;
    Ok(Some(row))
}

pub(super) fn remove(
    connection: &Connection,
    now: Timestamp,
    kind: AccountKind,
    name: &str,
    origin: &Origin,
) -> Result<bool, MetadataError> {
    let Some(row) = read(connection, kind, name)? else {
        return Ok(false);
    };
    change(connection, DELETE, (kind.as_str(), name))?;
    let entry = AccountEntry::of(Change::AccountRemove, &row);
    journal::write_account(connection, now, &entry, origin)?;
    Ok(true)
}

fn account(row: &Row<'_>) -> Result<AccountRow, MetadataError> {
    let groups = serde_json::from_str(text(row, 4)?);
    let optional = |column| {
        let micros: Option<i64> = row.get(column)?;
        Ok::<_, MetadataError>(micros.map(Timestamp::from_micros))
    };
    Ok(AccountRow {
        kind: AccountKind::parse(text(row, 0)?).ok_or_else(|| unreadable("a kind of account"))?,
        name: row.get(1)?,
        id: row.get(2)?,
        hash: PasswordHash::new(text(row, 3)?),
        groups: groups.map_err(|_| unreadable("an account's groups"))?,
        description: row.get(5)?,
        created_at: time(row, 6)?,
        expires_at: optional(7)?,
        disabled_at: optional(8)?,
        version: size(row, 9)?,
    })
}

fn groups_text(row: &AccountRow) -> String {
    serde_json::Value::from(row.groups.clone()).to_string()
}

/// The name was looked at before: what is there twice is the id.
fn taken(error: MetadataError) -> MetadataError {
    if is_duplicate(&error) {
        MetadataError::Misuse("another account has this id")
    } else {
        error
    }
}

const READ: &str = include_str!("../sql/sqlite/account/read.sql");
const BY_ID: &str = include_str!("../sql/sqlite/account/by_id.sql");
const LIST: &str = include_str!("../sql/sqlite/account/list.sql");
const INSERT: &str = include_str!("../sql/sqlite/account/insert.sql");
const UPDATE: &str = include_str!("../sql/sqlite/account/update.sql");
const DELETE: &str = include_str!("../sql/sqlite/account/delete.sql");
