//! Pulls by token while hundreds of clients try passwords.
//!
//! Each attacker has an address and a name of its own, so that nobody's back-off stops another, and
//! tries again a tenth of a second after each answer, whatever the answer said. So the registry has
//! hashes to compute all the time.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;

use super::pull;
use super::ways::{ByName, basic};
use crate::case::{IN_PEACE, Measure, ROADSTEAD};
use crate::figure::Figure;
use crate::http::{Client, Target};
use crate::options::Options;
use crate::reads;

const ATTACKERS: u16 = 500;
/// Between an answer and the next try.
const PAUSE: Duration = Duration::from_millis(100);
/// Clients that pull.
const CONNECTIONS: usize = 8;
/// Until all attackers are at it.
const BEGIN: Duration = Duration::from_secs(1);
/// How long the longest check of a password may take before the end is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was answered to the attackers.
#[derive(Default)]
struct Answers {
    wrong: AtomicU64,
    later: AtomicU64,
}

pub(super) fn measure(by_name: &ByName, options: &Options) -> Result<Vec<(String, Figure)>> {
    let (mut peaceful, mut attacked) = (Vec::new(), Vec::new());
    let target = &by_name.peer.target;
    let request = pull(Some(&by_name.token));
    let round = || {
        let mut figure = reads::round(
            Measure::PerSecond("req"),
            &by_name.peer,
            &request,
            CONNECTIONS,
            options.length(),
        )?;
        // What the attack costs is not a pull's.
        figure.cpu = None;
        figure.value = figure.p99.unwrap_or_default().as_secs_f64() * 1e3;
        anyhow::Ok(figure)
    };
    for number in 1..=options.rounds {
        peaceful.push(round()?);
        let (answers, over) = (Answers::default(), AtomicBool::new(false));
        let figure = thread::scope(|scope| {
            let attack = scope.spawn(|| attack(target, number, &answers, &over));
            thread::sleep(BEGIN);
            let figure = round();
            over.store(true, Ordering::Release);
            attack
                .join()
                .map_err(|_| anyhow::anyhow!("the attack panicked"))??;
            figure
        })?;
        attacked.push(figure);
        let (wrong, later) = (answers.wrong.into_inner(), answers.later.into_inner());
        eprintln!("    attackers: {wrong} answers of 401, {later} of 429 with Retry-After");
    }
    Ok(vec![
        (ROADSTEAD.to_owned(), Figure::middle(&attacked)),
        (IN_PEACE.to_owned(), Figure::middle(&peaceful)),
    ])
}

fn attack(target: &Target, round: u32, answers: &Answers, over: &AtomicBool) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let all = try_join_all((0..ATTACKERS).map(|number| async move {
        let [high, low] = number.to_be_bytes();
        let address = Ipv4Addr::new(127, 64_u8.wrapping_add(round as u8), high, low);
        let mut client = Client::connect_from(address, target).await?;
        for tried in 0_u64.. {
            if over.load(Ordering::Acquire) {
                break;
            }
            let name = format!("victim-{round}-{number}");
            client = client.with(Some(&basic(&name, &format!("guess {tried}"))));
            let answer = client.send("GET /v2/", &[], &[]).await?;
            match answer.status {
                401 => answers.wrong.fetch_add(1, Ordering::Relaxed),
                429 => {
                    ensure!(
                        answer.header("retry-after").is_some(),
                        "429 without Retry-After"
                    );
                    answers.later.fetch_add(1, Ordering::Relaxed)
                }
                other => anyhow::bail!("{other} to a wrong password"),
            };
            tokio::time::sleep(PAUSE).await;
        }
        anyhow::Ok(())
    }));
    runtime.block_on(async {
        let ended = tokio::time::timeout(PATIENCE, all).await;
        ended.context("the attackers get no answers")??;
        Ok(())
    })
}
