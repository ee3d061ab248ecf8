//! Paths of requests, with and without a prefix.
#![no_main]

use roadstead_server::fuzzing::route;

libfuzzer_sys::fuzz_target!(|path: &str| {
    route(path, "/");
    route(path, "/team/registry/");
});
