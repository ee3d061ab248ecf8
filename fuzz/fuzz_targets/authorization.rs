//! Authorization fields.
#![no_main]

libfuzzer_sys::fuzz_target!(|value: &[u8]| roadstead_auth::fuzzing::authorization(value));
