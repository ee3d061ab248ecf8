//! Names of entries in a directory.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| roadstead_auth::fuzzing::dn(text));
