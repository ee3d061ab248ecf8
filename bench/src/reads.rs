//! The read cases: every server has the same content, and is asked in turn.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::case::{Case, Measure};
use crate::content::{Content, REPOSITORY, TAG};
use crate::figure::Figure;
use crate::http::Certificate;
use crate::load::{self, Request};
use crate::options::Options;
use crate::peer::{Contestant, Peer, Setup};
use crate::results::{self, Results};

const CONNECTIONS: usize = 32;
/// For what fills the line with fewer.
const FEW_CONNECTIONS: usize = 4;
const RANGE_BYTES: u64 = 64 << 10;
/// After a round the server notices that its clients are gone.
const PAUSE: Duration = Duration::from_millis(100);

/// Runs the cases of this group.
///
/// # Errors
/// A server that does not start or does not take the content.
pub(crate) async fn run(
    cases: &[&'static Case],
    contestants: &[Contestant],
    options: &Options,
    directory: &Path,
    results: &mut Results,
) -> Result<()> {
    let content = Content::new(options.large_bytes());
    for secure in [false, true] {
        let cases: Vec<&'static Case> = cases
            .iter()
            .copied()
            .filter(|case| case.name.starts_with("tls-") == secure)
            .collect();
        if cases.is_empty() {
            continue;
        }
        let certificate = secure.then(|| Certificate::make(directory)).transpose()?;
        let mut peers = Vec::new();
        for contestant in contestants {
            let setup = Setup {
                tls: certificate.as_ref(),
                large: Some(&content.large.digest),
                sections: None,
            };
            let peer = Peer::start(contestant, directory, setup).await?;
            peer.load(&content, !secure)
                .await
                .with_context(|| format!("{} does not take the content", peer.name))?;
            peers.push(peer);
        }
        for case in cases {
            results.take(case, measure(case, &peers, &content, options));
        }
    }
    Ok(())
}

fn measure(
    case: &'static Case,
    peers: &[Peer],
    content: &Content,
    options: &Options,
) -> Result<Vec<(String, Figure)>> {
    let (request, connections) = request(case, content)?;
    let mut rounds = vec![Vec::new(); peers.len()];
    for number in 1..=options.rounds {
        eprintln!("{}: round {number} of {}", case.name, options.rounds);
        for index in results::order(number, peers.len()) {
            let (Some(peer), Some(figures)) = (peers.get(index), rounds.get_mut(index)) else {
                continue;
            };
            let figure = round(case.measure, peer, &request, connections, options.length())
                .with_context(|| format!("{}: {}", case.name, peer.name))?;
            figures.push(figure);
            std::thread::sleep(PAUSE);
        }
    }
    Ok(peers
        .iter()
        .zip(&rounds)
        .map(|(peer, figures)| (peer.name.clone(), Figure::middle(figures)))
        .collect())
}

/// Keeps one server busy for a while.
///
/// # Errors
/// Those of a connection; a wrong status.
pub(crate) fn round(
    measure: Measure,
    peer: &Peer,
    request: &Request,
    connections: usize,
    length: Duration,
) -> Result<Figure> {
    peer.forget_peak();
    let before = peer.memory()?;
    let look = || peer.cpu_time();
    let (tally, [from, to]) = load::run(&peer.target, request, connections, length, look)?;
    let after = peer.memory()?;
    let units = if measure == Measure::BytesPerSecond {
        tally.bytes
    } else {
        tally.answers
    };
    let figure = Figure {
        value: units as f64 / length.as_secs_f64(),
        cpu: (units > 0).then(|| to.saturating_sub(from).as_secs_f64() / units as f64),
        p50: (tally.answers > 0).then(|| tally.latencies.quantile(0.5)),
        p99: (tally.answers > 0).then(|| tally.latencies.quantile(0.99)),
        ..Figure::default()
    };
    Ok(figure.memory(before, after))
}

/// What a case asks for, and on how many connections.
fn request(case: &Case, content: &Content) -> Result<(Request, usize)> {
    let get = |target: String| Request {
        head: format!("GET {target} HTTP/1.1\r\n"),
        range: None,
        status: 200,
    };
    let blob = |digest: &str| get(format!("/v2/{REPOSITORY}/blobs/{digest}"));
    let manifests = format!("/v2/{REPOSITORY}/manifests");
    let accept = format!("Accept: {}\r\n", crate::content::MANIFEST_TYPE);
    let request = match case.name {
        "manifest-tag" | "tls-manifest" => {
            let request = get(format!("{manifests}/{TAG}"));
            Request {
                head: request.head + &accept,
                ..request
            }
        }
        "manifest-head" => Request {
            head: format!(
                "HEAD {manifests}/{} HTTP/1.1\r\n{accept}",
                content.manifest.digest
            ),
            range: None,
            status: 200,
        },
        "blob-4k" => blob(&content.small.digest),
        "range-64k" => Request {
            range: Some((RANGE_BYTES, content.large.bytes.len() as u64)),
            status: 206,
            ..blob(&content.large.digest)
        },
        "blob-1m" | "tls-blob-1m" => blob(&content.middle.digest),
        "blob-256m" => return Ok((blob(&content.large.digest), FEW_CONNECTIONS)),
        other => anyhow::bail!("{other} is no read case"),
    };
    Ok((request, CONNECTIONS))
}
