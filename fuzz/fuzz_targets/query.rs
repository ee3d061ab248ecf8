//! Queries of requests.
#![no_main]

libfuzzer_sys::fuzz_target!(|query: &str| roadstead_server::fuzzing::query(query, 100));
