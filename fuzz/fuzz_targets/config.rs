//! The configuration file and the variables that are laid over it. What is taken reads back the same
//! from what `roadstead check` prints of it.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;

// The binary has no library: its module is compiled into this target.
#[allow(
    dead_code,
    unused_imports,
    reason = "the target needs the parser alone"
)]
#[path = "../../crates/roadstead/src/config/mod.rs"]
mod config;

fuzz_target!(|text: &str| {
    // Lines of variables come first: `REGISTRY_HTTP_ADDR=:5000`.
    let mut variables = BTreeMap::new();
    let mut rest = text;
    while let Some((line, behind)) = rest.split_once('\n')
        && let Some((name, value)) = line.split_once('=')
        && name.starts_with("REGISTRY_")
        && variables.len() < 16
    {
        variables.insert(name.to_owned(), value.to_owned());
        rest = behind;
    }
    let Ok(loaded) = config::load_text(rest, &variables) else {
        return;
    };
    let printed = loaded.settings.to_yaml();
    let again = config::load_text(&printed, &BTreeMap::new());
    let again = again
        .unwrap_or_else(|error| panic!("{error}\n{printed}"))
        .settings;
    assert_eq!(again.to_yaml(), printed);
});
