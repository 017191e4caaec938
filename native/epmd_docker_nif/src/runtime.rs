//! The one thread on which all waiting happens: a current-thread tokio runtime.
//!
//! Measured on the same engine (p50 of an inspect): this 172 us, a multi-thread runtime with one
//! worker 195 us, a blocking read on a dirty scheduler 159 us, which would take a scheduler away
//! from everybody else for as long as Docker likes.

use std::io;
use std::thread;

use once_cell::sync::OnceCell;
use tokio::runtime::{Builder, Handle};

/// Threads for what blocks: they start when a daemon is given by name (`getaddrinfo`, at most 32),
/// certificates are read (at most 2) or the local daemon is located (one), and end when idle. A DNS
/// server or a file system that hangs can occupy its own share of these, and nothing else.
const BLOCKING_THREADS: usize = 35;

static RUNTIME: OnceCell<Handle> = OnceCell::new();

/// The handle of the runtime, which the first call starts. It can fail (no more threads or file
/// descriptors to be had), and the next call tries again.
pub(crate) fn handle() -> io::Result<&'static Handle> {
    RUNTIME.get_or_try_init(start)
}

fn start() -> io::Result<Handle> {
    let runtime = Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_name("epmd_docker_io")
        .build()?;
    let handle = runtime.handle().clone();
    thread::Builder::new()
        .name("epmd_docker".into())
        .spawn(move || runtime.block_on(std::future::pending::<()>()))?;
    Ok(handle)
}
