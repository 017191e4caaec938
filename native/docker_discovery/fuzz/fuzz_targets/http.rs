#![no_main]

// libFuzzer's main is not Rust's, which ignores it as the Erlang VM does.
libfuzzer_sys::fuzz_target!(
    init: {
        // SAFETY: nothing runs yet, and ignoring a signal runs no code.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    },
    |bytes: &[u8]| docker_discovery::fuzzing::http(bytes)
);
