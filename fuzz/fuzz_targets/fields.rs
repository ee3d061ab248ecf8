//! Header fields: framing, host, conditions, Accept.
#![no_main]

libfuzzer_sys::fuzz_target!(|lines: &[u8]| roadstead_server::fuzzing::fields(lines));
