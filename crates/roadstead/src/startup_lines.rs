//! The three plain lines of a start without a configuration file: what is served where, what
//! happens to it, and how to have it otherwise.

use std::path::Path;

use crate::config::{Auth, Driver, Settings};

/// The lines; `address` is where the registry really listens.
pub(crate) fn lines(settings: &Settings, address: &str) -> [String; 3] {
    let scheme = if settings.http.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let place = match &settings.storage.driver {
        Driver::Filesystem { root, .. } => format!("in {}", absolute(root)),
        Driver::InMemory => "in memory, until it ends".to_owned(),
    };
    let deletes = if settings.storage.delete {
        "may be deleted"
    } else {
        "cannot be deleted"
    };
    let login = match settings.auth {
        Auth::Open => "no login is asked for",
        Auth::Htpasswd { .. } => "a login is asked for",
    };
    [
        format!("Roadstead serves {scheme}://{address} with its built-in configuration"),
        format!("content is kept {place}; it {deletes}, and {login}"),
        "another configuration: roadstead serve CONFIG (roadstead serve --help says more)"
            .to_owned(),
    ]
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path)
        .unwrap_or_else(|_| path.to_owned())
        .display()
        .to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_lines_say_where_and_what() {
        let settings = crate::config::load(None, &BTreeMap::new())
            .unwrap()
            .settings;
        let [first, second, third] = lines(&settings, "127.0.0.1:5000");
        assert_eq!(
            first,
            "Roadstead serves http://127.0.0.1:5000 with its built-in configuration"
        );
        assert!(second.contains("/roadstead-data; it may be deleted, and no login is asked for"));
        assert!(third.contains("roadstead serve CONFIG"));
    }
}
