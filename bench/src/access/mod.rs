//! What it costs to know who asks: the same manifest by tag, asked for in every way to come in, beside
//! a registry that is open to all. Every way has its turn in every round.

mod first;
mod flood;
mod issuer;
mod ways;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::case::{Case, Measure, OPEN, ROADSTEAD};
use crate::content::{MANIFEST_TYPE, REPOSITORY, TAG};
use crate::figure::Figure;
use crate::http::authorization_line;
use crate::load::Request;
use crate::options::Options;
use crate::peer::Contestant;
use crate::reads;
use crate::results::{self, Results};
use ways::{Way, Ways};

pub(crate) use ways::{account, basic, bcrypt_line};

const CONNECTIONS: usize = 32;
/// After a round the server notices that its clients are gone.
const PAUSE: Duration = Duration::from_millis(100);

/// Runs the cases of this group.
///
/// # Errors
/// A server that does not start or does not take the content.
pub(crate) async fn run(
    cases: &[&'static Case],
    roadstead: &Contestant,
    options: &Options,
    directory: &Path,
    results: &mut Results,
) -> Result<()> {
    if cases.is_empty() {
        return Ok(());
    }
    let ways = Ways::start(roadstead, directory).await?;
    let (steady, others): (Vec<&'static Case>, Vec<_>) = cases
        .iter()
        .partition(|case| matches!(case.measure, Measure::PerSecond(_)));
    if !steady.is_empty() {
        let measured = beside_each_other(&steady, &ways, options)?;
        for case in steady {
            results.take(case, figures(case, &ways, &measured));
        }
    }
    for case in others {
        eprintln!("{}", case.name);
        let figures = match case.name {
            "access-first" => first::measure(ways.by_name(), options).await,
            "access-flood" => flood::measure(ways.by_name(), options),
            other => Err(anyhow::anyhow!("{other} is no case of access")),
        };
        results.take(case, figures);
    }
    Ok(())
}

/// What was measured of a way, by its place among them.
type Measured = Vec<Figure>;

/// Every way that the cases need in turn, for each of the rounds.
fn beside_each_other(cases: &[&'static Case], ways: &Ways, options: &Options) -> Result<Measured> {
    let needed = |way: &Way| {
        let mut names = cases.iter().map(|case| case.name);
        way.is_reference() || names.any(|name| name == way.name)
    };
    let mut rounds = vec![Vec::new(); ways.all.len()];
    for number in 1..=options.rounds {
        eprintln!("access: round {number} of {}", options.rounds);
        for index in results::order(number, ways.all.len()) {
            let (Some(way), Some(figures)) = (ways.all.get(index), rounds.get_mut(index)) else {
                continue;
            };
            if !needed(way) {
                continue;
            }
            let request = pull(way.authorization.as_deref());
            let figure = reads::round(
                Measure::PerSecond("req"),
                &way.peer,
                &request,
                CONNECTIONS,
                options.length(),
            );
            figures.push(figure.with_context(|| way.name)?);
            std::thread::sleep(PAUSE);
        }
    }
    Ok(rounds
        .iter()
        .map(|figures| Figure::middle(figures))
        .collect())
}

fn figures(case: &Case, ways: &Ways, measured: &Measured) -> Result<Vec<(String, Figure)>> {
    let of = |name: &str| {
        let place = ways.all.iter().position(|way| way.name == name);
        let figure = place.and_then(|place| measured.get(place));
        figure.copied().with_context(|| format!("no {name}"))
    };
    let own = ways.all.iter().find(|way| way.name == case.name);
    let reference = own.context("no such way")?.reference();
    Ok(vec![
        (ROADSTEAD.to_owned(), of(case.name)?),
        (OPEN.to_owned(), of(reference)?),
    ])
}

/// The request of every way.
fn pull(authorization: Option<&str>) -> Request {
    let credentials = authorization.map_or_else(String::new, authorization_line);
    Request {
        head: format!(
            "GET /v2/{REPOSITORY}/manifests/{TAG} HTTP/1.1\r\nAccept: {MANIFEST_TYPE}\r\n{credentials}"
        ),
        range: None,
        status: 200,
    }
}
