//! What `roadstead user` and `roadstead robot` have in common.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use roadstead_auth::check_group;
use roadstead_metadata::{
    AccountChange, AccountKind, AccountRow, AccountStore, Clock as _, Origin, Standing,
    SystemClock, Timestamp,
};

use super::timestamp::minute;
use crate::process;

/// Accounts that are read at a time.
const PAGE: u32 = 500;

/// Opens the accounts of the registry with this configuration.
///
/// # Errors
/// A configuration or database that cannot be used.
pub(super) fn open(config: &Path) -> anyhow::Result<AccountStore> {
    let place = super::place(config)?;
    process::keep_files_private();
    Ok(AccountStore::open(&place.database)?)
}

/// Whoever runs the command, for the journal.
pub(super) fn operator() -> Origin {
    let uid = rustix::process::getuid().as_raw();
    Origin {
        actor: format!("operator:{uid}"),
        ..Origin::default()
    }
}

pub(super) fn now() -> Timestamp {
    SystemClock.now()
}

/// Groups of the command line.
///
/// # Errors
/// A name that no group may have.
pub(super) fn groups(groups: Vec<String>) -> anyhow::Result<Vec<String>> {
    for group in &groups {
        check_group(group).with_context(|| format!("the group {group:?}"))?;
    }
    Ok(groups)
}

/// Changes an account that must be there.
///
/// # Errors
/// There is none.
pub(super) fn change(
    config: &Path,
    kind: AccountKind,
    name: &str,
    change: AccountChange,
) -> anyhow::Result<AccountRow> {
    let changed = open(config)?.update(kind, name, change, &operator())?;
    changed.with_context(|| unknown(kind, name))
}

/// Refuses to go on, with what is to be asked first, if there is no such account.
///
/// # Errors
/// There is none.
pub(super) fn need(config: &Path, kind: AccountKind, name: &str) -> anyhow::Result<()> {
    let found = open(config)?.find(kind, name)?;
    found.map(drop).with_context(|| unknown(kind, name))
}

/// Removes an account that must be there.
///
/// # Errors
/// There is none.
pub(super) fn remove(config: &Path, kind: AccountKind, name: &str) -> anyhow::Result<()> {
    if !open(config)?.remove(kind, name, &operator())? {
        bail!("{}", unknown(kind, name));
    }
    Ok(())
}

fn unknown(kind: AccountKind, name: &str) -> String {
    format!("there is no {kind} called {name:?}")
}

/// Prints the accounts of a kind as a table, in the order of their names.
///
/// # Errors
/// Rows that cannot be read, an output that cannot be written.
pub(super) fn list(config: &Path, kind: AccountKind) -> anyhow::Result<()> {
    let store = open(config)?;
    let mut rows = Vec::new();
    loop {
        let after = rows.last().map(|row: &AccountRow| row.name.clone());
        let page = store.list(kind, after.as_deref(), PAGE)?;
        rows.extend(page.items);
        if !page.more {
            break;
        }
    }
    // Whoever reads the table slowly keeps nobody waiting.
    drop(store);
    let table = table(&rows, now());
    std::io::stdout().lock().write_all(table.as_bytes())?;
    Ok(())
}

const TITLES: [&str; 6] = [
    "NAME",
    "STATE",
    "GROUPS",
    "CREATED",
    "EXPIRES",
    "DESCRIPTION",
];

fn table(rows: &[AccountRow], now: Timestamp) -> String {
    let mut cells = vec![TITLES.map(str::to_owned)];
    cells.extend(rows.iter().map(|row| {
        let state = match row.standing(now) {
            Standing::Active => "active",
            Standing::Disabled => "disabled",
            Standing::Expired => "expired",
        };
        let shown = |text: String| {
            if text.is_empty() {
                "-".to_owned()
            } else {
                text
            }
        };
        [
            row.name.clone(),
            state.to_owned(),
            shown(row.groups.join(",")),
            minute(row.created_at),
            row.expires_at.map_or_else(|| "never".to_owned(), minute),
            shown(row.description.clone()),
        ]
    }));
    let widths: [usize; TITLES.len()] = std::array::from_fn(|column| {
        let width = cells.iter().map(|row| row[column].chars().count()).max();
        width.unwrap_or_default()
    });
    let mut text = String::new();
    for row in cells {
        let padded = row.iter().zip(widths);
        let line: Vec<_> = padded
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        text.push_str(line.join("  ").trim_end());
        text.push('\n');
    }
    text
}
