//! The raw bytes of an HTTP/1 connection. The first byte of an input says how the rest is cut.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    if let Some((cut, bytes)) = input.split_first() {
        roadstead_server::fuzzing::heads(bytes, usize::from(*cut));
    }
});
