//! Keys of robots.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| roadstead_auth::fuzzing::api_key(text));
