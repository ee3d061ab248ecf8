//! Every statement finds its rows by an index, and a page of a long list costs what it shows.

use std::fs;
use std::path::Path;

use rusqlite::{Connection, StatementStatus};

use super::super::connection::build;
use super::*;

/// Every file of `sql/sqlite`, with its path.
fn statements() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sql/sqlite");
    let mut found = Vec::new();
    for directory in fs::read_dir(root).unwrap() {
        for file in fs::read_dir(directory.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            found.push((
                path.display().to_string(),
                fs::read_to_string(&path).unwrap(),
            ));
        }
    }
    assert!(
        found.len() > 40,
        "only {} statements were found",
        found.len()
    );
    found
}

fn empty() -> (Place, Connection) {
    let place = Place::new();
    fs::write(place.database(), "").unwrap();
    build(&place.database()).unwrap();
    let connection = Connection::open(place.database()).unwrap();
    (place, connection)
}

#[test]
fn every_statement_uses_an_index() {
    let (_place, connection) = empty();
    for (path, sql) in statements() {
        let mut explain = connection
            .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
            .unwrap();
        let mut rows = explain.raw_query();
        while let Some(row) = rows.next().unwrap() {
            let step: String = row.get("detail").unwrap();
            // A subquery's own rows were found by its own steps.
            let walks = step.starts_with("SCAN") && step != "SCAN (subquery-1)";
            let sorts = step.contains("TEMP B-TREE") || step.contains("AUTOMATIC");
            assert!(!walks && !sorts, "{path}: {step}");
        }
    }
}

#[test]
fn a_connection_keeps_every_statement_prepared() {
    // BEGIN, COMMIT, the savepoint's three and the probe are not in files.
    assert!(statements().len() + 6 <= super::super::connection::STATEMENTS);
}

/// Binding a statement again must not compile it again: that once was most of a read's cost.
#[test]
fn no_statement_is_compiled_twice() {
    let (place, connection) = empty();
    drop(connection);
    let connection = super::super::connection::reader(&place.database()).unwrap();
    for (path, sql) in statements() {
        let mut statement = connection.prepare(&sql).unwrap();
        if !statement.readonly() {
            continue;
        }
        for _ in 0..3 {
            for number in 1..=statement.parameter_count() {
                statement.raw_bind_parameter(number, 1).unwrap();
            }
            let mut rows = statement.raw_query();
            while rows.next().unwrap().is_some() {}
            drop(rows);
            statement.clear_bindings();
        }
        let compiled_again = statement.get_status(StatementStatus::RePrepare);
        assert_eq!(compiled_again, 0, "{path}");
    }
}

/// Runs a list's statement and returns its rows and the steps that they took.
fn cost(connection: &Connection, sql: &str, parameters: impl rusqlite::Params) -> (usize, i32) {
    let mut statement = connection.prepare(sql).unwrap();
    let mut rows = statement.query(parameters).unwrap();
    let mut count = 0;
    while rows.next().unwrap().is_some() {
        count += 1;
    }
    drop(rows);
    assert_eq!(statement.get_status(StatementStatus::FullscanStep), 0);
    assert_eq!(statement.get_status(StatementStatus::Sort), 0);
    (count, statement.get_status(StatementStatus::VmStep))
}

/// Steps of the engine for a page of 100 rows; one that walked the list would take 100,000.
const PAGE_STEPS_MAX: i32 = 2_000;

#[test]
fn a_page_in_the_middle_of_a_long_list_costs_what_it_shows() {
    let (_place, connection) = empty();
    let filled = connection.execute_batch(
        "PRAGMA synchronous = OFF;
        BEGIN;
        INSERT INTO repository (name, created_at, listed_at) VALUES ('a', 0, 0);
        CREATE TEMP TABLE number (n INTEGER PRIMARY KEY);
        WITH RECURSIVE count (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM count LIMIT 100000)
            INSERT INTO number SELECT n FROM count;
        INSERT INTO manifest (id, repository_id, digest, media_type, artifact_type, subject,
                size_bytes, pushed_at, pushed_by, lease_until, referrer, body)
            SELECT n + 1, 1, printf('sha256:%06d', n), 't/t', iif(n % 2, 'x/odd', 'x/even'),
                'subject', 1, 0, '', 0, x'00', x'00'
            FROM number;
        INSERT INTO tag SELECT 1, printf('t%06d', n), n + 1, 0 FROM number;
        INSERT INTO repository (name, created_at, listed_at)
            SELECT printf('r%06d', n), 0, 0 FROM number;
        INSERT INTO journal (at, actor, action, repository_id, detail)
            SELECT 0, '', 'tag.set', 1, '{}' FROM number;
        INSERT INTO upload SELECT randomblob(16), randomblob(16), 1, 'ada', 'sha256', 0, x'', x'',
            '', 0, x'', x'', 0, n FROM number;
        INSERT INTO trash (key, dead_since, due_at, seen)
            SELECT randomblob(16), n, n, n % 2 FROM number;
        COMMIT",
    );
    filled.unwrap();
    macro_rules! page {
        ($file:literal, $parameters:expr) => {{
            let sql = include_str!(concat!("../../sql/sqlite/", $file));
            let (rows, steps) = cost(&connection, sql, $parameters);
            assert_eq!(rows, 100, "{}", $file);
            assert!(steps < PAGE_STEPS_MAX, "{} took {steps} steps", $file);
        }};
    }
    page!("tag/list.sql", (1, "t050000", 100));
    page!("repository/list.sql", ("r050000", 100));
    page!("journal/list.sql", (50_000, 100));
    page!(
        "manifest/referrers.sql",
        (1, "subject", "sha256:050000", 100)
    );
    page!(
        "manifest/referrers_of_type.sql",
        (1, "subject", "sha256:050000", 100, "x/odd")
    );
    page!("upload/expired.sql", (50_000, 100));
    page!("trash/ready.sql", (50_000, 100));
    page!("trash/ahead.sql", (50_000, 100));

    let sql = include_str!("../../sql/sqlite/tag/find.sql");
    let (rows, steps) = cost(&connection, sql, (1, "t050000"));
    assert!(rows == 1 && steps < 100, "{rows} rows took {steps} steps");
}
