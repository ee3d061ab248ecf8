//! Tokens of anybody.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| roadstead_auth::fuzzing::token(text));
