//! `http.ratelimits`: how often anybody may ask.

use super::cursor::Cursor;
use super::effective::Writer;

/// The `http.ratelimits` section. Default: nothing is limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RateLimits {
    /// For requests without credentials, of each address.
    pub(crate) anonymous: Rate,
    /// For each user.
    pub(crate) user: Rate,
    /// For each address, whoever asks.
    pub(crate) address: Rate,
}

/// What one of a kind may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rate {
    /// Requests a second; 0 for no bound. Default: 0; up to a million.
    pub(crate) requests: u32,
    /// Requests at once after a pause. Default: as many as `requests`.
    pub(crate) burst: u32,
    /// Requests under way at a time; 0 for no bound. Default: 0.
    pub(crate) concurrent: u32,
}

pub(super) fn read(section: &Cursor<'_>) -> RateLimits {
    RateLimits {
        anonymous: rate(&section.section("anonymous")),
        user: rate(&section.section("user")),
        address: rate(&section.section("address")),
    }
}

fn rate(section: &Cursor<'_>) -> Rate {
    // The bounds keep the number small.
    let count = |name| u32::try_from(section.integer(name, 0, 0..=1_000_000)).unwrap_or(0);
    let (requests, burst) = (count("requests"), count("burst"));
    if burst > 0 && requests == 0 {
        section.refuse("burst", "it only matters with requests, which is not set");
    }
    Rate {
        requests,
        burst: if burst == 0 { requests } else { burst },
        concurrent: count("concurrent"),
    }
}

impl RateLimits {
    pub(super) fn write(&self, yaml: &mut Writer) {
        yaml.section("ratelimits", |yaml| {
            for (name, rate) in [
                ("anonymous", self.anonymous),
                ("user", self.user),
                ("address", self.address),
            ] {
                yaml.section(name, |yaml| {
                    yaml.line("requests", &rate.requests);
                    yaml.line("burst", &rate.burst);
                    yaml.line("concurrent", &rate.concurrent);
                });
            }
        });
    }
}
