//! `http.proxies`: whose word on a client counts.

use roadstead_auth::Network;

use super::cursor::Cursor;
use super::effective::{Quoted, Writer};

/// The `http.proxies` section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Proxies {
    /// Networks of the proxies. Default: none.
    pub(crate) trusted: Vec<Network>,
    /// Whether whoever connects to a unix socket is one: `unix` stands in the list. Default: false.
    pub(crate) unix: bool,
    /// Whether each connection begins with a PROXY header. Default: false.
    pub(crate) protocol: bool,
}

/// Stands in the list of trusted proxies for unix sockets.
const UNIX: &str = "unix";

pub(super) fn read(section: &Cursor<'_>) -> Proxies {
    let mut proxies = Proxies {
        protocol: section.flag("protocol", false),
        ..Proxies::default()
    };
    for located in section.texts("trusted") {
        if located.text == UNIX {
            proxies.unix = true;
            continue;
        }
        match located.text.parse::<Network>() {
            Ok(network) => proxies.trusted.push(network),
            Err(error) => {
                let message = format!("http.proxies.trusted: {error}, found {:?}", located.text);
                section.report().refuse(&located.origin, &message);
            }
        }
    }
    if proxies.trusted.iter().any(Network::is_everything) {
        section
            .report()
            .warn("http.proxies.trusted has every address: any client can say that it is another");
    }
    if proxies.protocol && proxies.trusted.is_empty() && !proxies.unix {
        let message = "only trusted proxies may connect then, and http.proxies.trusted has none";
        section.refuse("protocol", message);
    }
    proxies
}

impl Proxies {
    pub(super) fn write(&self, yaml: &mut Writer) {
        yaml.section("proxies", |yaml| {
            let unix = self.unix.then(|| UNIX.to_owned());
            let networks = self.trusted.iter().map(ToString::to_string);
            let trusted = unix.into_iter().chain(networks);
            let trusted: Vec<String> = trusted.map(|text| Quoted(&text).to_string()).collect();
            yaml.line("trusted", &format_args!("[{}]", trusted.join(", ")));
            yaml.line("protocol", &self.protocol);
        });
    }
}
