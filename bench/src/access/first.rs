//! The first login of a user, which pays for the hash.

use std::time::Instant;

use anyhow::Result;

use super::ways::{ByName, STRANGERS, of_stranger};
use crate::case::ROADSTEAD;
use crate::figure::{Figure, median};
use crate::http::Client;
use crate::options::Options;

pub(super) async fn measure(by_name: &ByName, options: &Options) -> Result<Vec<(String, Figure)>> {
    let count = if options.quick { 3 } else { STRANGERS };
    let (mut times, cpu) = (Vec::new(), by_name.peer.cpu_time()?);
    for number in 0..count {
        let credentials = of_stranger(number);
        let client = Client::connect(&by_name.peer.target).await?;
        let mut client = client.with(Some(&credentials));
        let begun = Instant::now();
        client.expect(200, "GET /v2/", &[], &[]).await?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    let cpu = by_name.peer.cpu_time()?.saturating_sub(cpu);
    let figure = Figure {
        value: median(times).unwrap_or_default(),
        cpu: Some(cpu.as_secs_f64() / count as f64),
        ..Figure::default()
    };
    Ok(vec![(ROADSTEAD.to_owned(), figure)])
}
