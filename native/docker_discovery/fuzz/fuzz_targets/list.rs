#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| docker_discovery::fuzzing::list(bytes));
