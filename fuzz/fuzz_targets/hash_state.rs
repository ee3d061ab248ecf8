//! Hash states of uploads as they are stored. The first byte of an input is the state's length, what
//! follows the state is hashed behind it.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    if let Some((length, rest)) = input.split_first()
        && let Some((state, more)) = rest.split_at_checked(usize::from(*length))
    {
        roadstead_registry::fuzzing::hash_state(state, more);
    }
});
