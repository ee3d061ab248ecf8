//! Long lists: pages of the metadata store alone, and a whole list over HTTP.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use roadstead_metadata::{Metadata as _, SqliteMetadata};

use crate::content::Noise;
use crate::database;
use crate::figure::Figure;
use crate::footprint::database_file;
use crate::histogram::Histogram;
use crate::http::Client;
use crate::options::Options;
use crate::peer::{Contestant, Peer, Setup};

const ENTRIES: u32 = 1_000_000;
const WHOLE_ENTRIES: u32 = 500_000;
/// Entries of lists in a quick run.
const QUICK_ENTRIES: u32 = 5_000;
const PAGE: u32 = 100;
/// Pages read at each place.
const READS: u32 = 2_000;

/// Measures a case of this group.
///
/// # Errors
/// Those of the server, and a name that is none of the group's.
pub(crate) async fn measure(
    name: &str,
    roadstead: &Contestant,
    options: &Options,
    directory: &Path,
) -> Result<Figure> {
    let entries = |all| if options.quick { QUICK_ENTRIES } else { all };
    match name {
        "list-tags" => tags(directory, entries(ENTRIES)).await,
        "list-repositories" => repositories(directory, entries(ENTRIES)).await,
        "list-whole" => whole(roadstead, options, directory, entries(WHOLE_ENTRIES)).await,
        other => anyhow::bail!("{other} is no case of lists"),
    }
}

async fn tags(parent: &Path, entries: u32) -> Result<Figure> {
    let directory = tempfile::tempdir_in(parent)?;
    let database = database::open(&directory.path().join("roadstead.db"))?;
    let repository = database::repository(0)?;
    database::add_tags(&database, &repository, entries).await?;
    pages(&database, entries, async |database, before| {
        let after = before.map(database::tag).transpose()?;
        let after = after.as_ref().map(|tag| tag.as_str());
        let page = database.tags(&repository, after, PAGE).await?;
        Ok(page.context("no such repository")?.items.len())
    })
    .await
}

async fn repositories(parent: &Path, entries: u32) -> Result<Figure> {
    let directory = tempfile::tempdir_in(parent)?;
    let database = database::open(&directory.path().join("roadstead.db"))?;
    database::add_repositories(&database, entries).await?;
    pages(&database, entries, async |database, before| {
        let after = before.map(database::repository).transpose()?;
        let after = after.as_ref().map(|name| name.as_str());
        Ok(database.repositories(after, PAGE).await?.items.len())
    })
    .await
}

/// Reads first, middle and last pages; the worst 99th percentile of the three counts.
async fn pages(
    database: &SqliteMetadata,
    entries: u32,
    read: impl AsyncFn(&SqliteMetadata, Option<u32>) -> Result<usize>,
) -> Result<Figure> {
    let mut noise = Noise::new(5);
    let mut worst: Option<(Duration, Duration)> = None;
    for place in ["first", "middle", "last"] {
        let mut latencies = Histogram::new();
        for _ in 0..READS {
            let before = match place {
                "first" => None,
                "middle" => u32::try_from(noise.below(u64::from(entries - PAGE - 1))).ok(),
                _ => Some(entries - PAGE - 1),
            };
            let begun = Instant::now();
            let found = read(database, before).await?;
            latencies.record(begun.elapsed());
            ensure!(found == PAGE as usize, "a page of {found}");
        }
        let (p99, p50) = (latencies.quantile(0.99), latencies.quantile(0.5));
        eprintln!("    {place} page: p50 {p50:.1?}, p99 {p99:.1?}");
        worst = worst.max(Some((p99, p50)));
    }
    let (p99, p50) = worst.unwrap_or_default();
    Ok(Figure {
        value: p99.as_secs_f64() * 1e3,
        p50: Some(p50),
        p99: Some(p99),
        ..Figure::default()
    })
}

/// The tag list of one repository without a page size, which is all of it.
async fn whole(
    roadstead: &Contestant,
    options: &Options,
    parent: &Path,
    entries: u32,
) -> Result<Figure> {
    let directory = tempfile::tempdir_in(parent)?;
    let repository = database::repository(0)?;
    {
        let database = database::open(&database_file(directory.path())?)?;
        database::add_tags(&database, &repository, entries).await?;
    }
    let peer = Peer::start_in(roadstead, directory, Setup::default()).await?;
    let mut client = Client::connect(&peer.target).await?;
    let line = format!("GET /v2/{repository}/tags/list");
    let mut rounds = Vec::new();
    for _ in 0..options.rounds {
        peer.forget_peak();
        let before = peer.memory()?;
        let cpu = peer.cpu_time()?;
        let begun = Instant::now();
        let answer = client.expect(200, &line, &[], &[]).await?;
        let value = begun.elapsed().as_secs_f64();
        let list: serde_json::Value = serde_json::from_slice(&answer.body)?;
        let found = list
            .get("tags")
            .and_then(|tags| tags.as_array())
            .map_or(0, Vec::len);
        ensure!(found == entries as usize, "a list of {found} tags");
        let figure = Figure {
            value,
            cpu: Some(peer.cpu_time()?.saturating_sub(cpu).as_secs_f64()),
            ..Figure::default()
        };
        rounds.push(figure.memory(before, peer.memory()?));
    }
    Ok(Figure::middle(&rounds))
}
