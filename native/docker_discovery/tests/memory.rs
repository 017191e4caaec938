//! How much memory it takes to know many containers: what this thread has
//! asked the allocator for and not given back. The daemon runs on another one.
//!
//! `cargo test --release --test memory -- --nocapture` shows the figures.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use docker_discovery::Resolver;
use support::crowd::Crowd;
use support::living::{own, until_following};
use support::lookup;
use support::storm::{Storm, seconds};

const MANY: usize = 10_000;

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static BYTES: Cell<isize> = const { Cell::new(0) };
}

/// As glibc has it: 8 bytes of its own, in steps of 16, at least 32.
fn count(size: usize, sign: isize) {
    let taken = (size + 8).next_multiple_of(16).max(32);
    let _ = BYTES.try_with(|bytes| bytes.set(bytes.get() + sign * taken.cast_signed()));
}

// SAFETY: all is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(layout.size(), -1);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(memory, layout) }
    }
}

fn bytes() -> isize {
    BYTES.with(Cell::get)
}

/// What is left when nothing is on its way any more.
async fn at_rest(resolver: &Resolver) -> isize {
    let mut last = isize::MAX;
    loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let now = bytes();
        if now == last && own(resolver).in_flight == 0 {
            return now;
        }
        last = now;
    }
}

#[tokio::test]
async fn a_kibibyte_for_each_of_ten_thousand_containers() {
    let crowd = Crowd::new(MANY);
    let resolver = crowd
        .engine
        .resolver_with(|settings| settings.watch = Some(Duration::from_secs(60)));
    let empty = bytes();
    lookup(&resolver, "x@project-node-0").await.unwrap();
    until_following(&resolver).await;
    let listed = at_rest(&resolver).await - empty;
    let _all = resolver.subscribe(None, &[], |_| true).unwrap();
    while own(&resolver).known < MANY {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let known = at_rest(&resolver).await - empty;
    let each = |all: isize| all / MANY.cast_signed();
    println!(
        "bytes for each of {MANY} containers: {} listed, {} known",
        each(listed),
        each(known)
    );
    assert!(each(listed) <= 1024 && each(known) <= 1024);
}

#[tokio::test]
async fn a_storm_of_events_leaves_nothing_behind() {
    const SIZE: usize = 20;
    let crowd = Arc::new(Crowd::new(SIZE));
    let resolver = crowd
        .engine
        .resolver_with(|settings| settings.watch = Some(Duration::from_secs(1)));
    for n in 0..SIZE {
        lookup(&resolver, &format!("x@project-node-{n}"))
            .await
            .unwrap();
    }
    until_following(&resolver).await;
    let storm = Storm::over(Arc::clone(&crowd), SIZE, seconds(4));
    let (began, mut early, mut late) = (Instant::now(), 0, 0);
    while !storm.is_over() {
        tokio::time::sleep(Duration::from_millis(10)).await;
        match began.elapsed() < Duration::from_secs(2) {
            true => early = early.max(bytes()),
            false => late = late.max(bytes()),
        }
    }
    println!(
        "{} events: at most {early} bytes in the first two seconds, {late} after them",
        storm.events()
    );
    // What hyper reads into grows for a while. A minute shows what is not that.
    assert!(late - early < 256 << 10, "{early} {late}");
}
