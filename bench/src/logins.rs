//! Whether the time of a refusal tells who is known: wrong passwords of somebody who is known and of
//! somebody who is not, in random order, each from an address of its own, so that the back-off of one
//! does not count for the next. Hashes of low cost, where there is a choice: the less they take, the
//! more shows what is around them.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use serde_json::json;

use crate::access::{account, basic, bcrypt_line};
use crate::content::Noise;
use crate::figure::{Figure, median};
use crate::http::{Client, Target};
use crate::options::Options;
use crate::peer::{Contestant, Peer, Setup};
use crate::ranks::mann_whitney;

/// Of a known and an unknown name.
const PAIRS: u32 = 1_000;
const QUICK_PAIRS: u32 = 20;
/// Before counting begins.
const WARM_UP: u32 = 10;
/// Alike in everything that is not the question.
const KNOWN: &str = "ada";
const UNKNOWN: &str = "eve";
/// Apache's own default.
const COST: u32 = 5;

/// Measures a case of this group: the value is the probability of the Mann-Whitney test.
///
/// # Errors
/// Those of the server, and an answer other than 401.
pub(crate) async fn measure(
    name: &str,
    roadstead: &Contestant,
    options: &Options,
    directory: &Path,
) -> Result<Figure> {
    let file = directory.join("logins");
    let sections = match name {
        "logins-htpasswd" => {
            std::fs::write(&file, bcrypt_line(KNOWN, "right", COST)?)?;
            json!({
                "auth": { "htpasswd": { "realm": "bench", "path": file } },
                "access": { "preset": "private" },
            })
        }
        "logins-local" => json!({ "access": { "preset": "private" } }),
        other => anyhow::bail!("{other} is no case of logins"),
    };
    let setup = Setup {
        sections: sections.as_object(),
        ..Setup::default()
    };
    let peer = Peer::start(roadstead, directory, setup).await?;
    if sections.get("auth").is_none() {
        // Once it answers, its database is there.
        let mut client = Client::connect(&peer.target).await?;
        client.expect(401, "GET /v2/", &[], &[]).await?;
        account(
            roadstead,
            peer.directory(),
            &["user", "add"],
            KNOWN,
            "right",
        )?;
    }
    let pairs = if options.quick { QUICK_PAIRS } else { PAIRS };
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    let (mut noise, mut number) = (Noise::new(11), 0);
    for pair in 0..pairs + WARM_UP {
        let known_first = noise.below(2) == 0;
        for is_known in [known_first, !known_first] {
            number += 1;
            let user = if is_known { KNOWN } else { UNKNOWN };
            let took = refusal(&peer.target, user, number).await?;
            if pair >= WARM_UP {
                let sample = if is_known { &mut known } else { &mut unknown };
                sample.push(took);
            }
        }
    }
    let p = mann_whitney(&known, &unknown);
    let middle = |sample: &[f64]| median(sample.to_vec()).unwrap_or_default() * 1e3;
    eprintln!(
        "    p {p:.3}; known {:.3} ms, unknown {:.3} ms, the middle of {pairs} each",
        middle(&known),
        middle(&unknown)
    );
    Ok(Figure {
        value: p,
        ..Figure::default()
    })
}

/// Seconds until a wrong password is refused.
async fn refusal(target: &Target, user: &str, number: u32) -> Result<f64> {
    let [_, high, middle, low] = number.to_be_bytes();
    let address = Ipv4Addr::new(127, 128_u8.wrapping_add(high), middle, low);
    let client = Client::connect_from(address, target).await?;
    let mut client = client.with(Some(&basic(user, &format!("wrong {number:08}"))));
    let begun = Instant::now();
    client.expect(401, "GET /v2/", &[], &[]).await?;
    Ok(begun.elapsed().as_secs_f64())
}
