//! 1,000 events a second: nothing is lost, nothing wrong is said meanwhile, and
//! the daemon is not asked as often. `EPMD_DOCKER_STORM_SECONDS=60` takes a minute.
//!
//! `cargo test --release --test storm -- --nocapture` shows the figures.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use docker_discovery::Resolver;
use support::crowd::Crowd;
use support::living::{peek, until_following};
use support::storm::{Storm, seconds};
use support::{lookup, lookup_in, until};

const SIZE: usize = 20;
/// An answer may be as old as the event that is on its way. On a machine that
/// does nothing else it is a millisecond.
const GRACE: Duration = Duration::from_millis(500);

fn name(n: usize) -> String {
    format!("x@project-node-{n}")
}

#[tokio::test]
async fn a_thousand_events_a_second() {
    let crowd = Arc::new(Crowd::new(SIZE));
    let resolver = crowd
        .engine
        .resolver_with(|settings| settings.watch = Some(Duration::from_secs(2)));
    let resolver = Arc::new(resolver);
    for n in 0..SIZE {
        lookup(&resolver, &name(n)).await.unwrap();
    }
    until_following(&resolver).await;
    let before = crowd.engine.count("/json");
    let storm = Storm::over(Arc::clone(&crowd), SIZE, seconds(5));
    let tally = ask_meanwhile(&resolver, &storm).await;
    let inspects = crowd.engine.count("/json") - before;
    let agrees = |n: usize| {
        peek(&resolver, &name(n)).map(|one| one.address) == storm.truth(n).map(IpAddr::from)
    };
    until(|| (0..SIZE).all(agrees)).await;
    let events = storm.events();
    println!("{events} events, {inspects} inspects; {tally:?}");
    assert!(tally.from_memory > 0 && tally.asked > 0);
    assert!(tally.worst_lag <= GRACE, "{tally:?}");
    // Of who asks, each look-up is an inspect at most.
    assert!(
        inspects < events / 4 + tally.asked + tally.errors,
        "{inspects} of {events}"
    );
}

#[derive(Debug, Default)]
struct Tally {
    from_memory: usize,
    asked: usize,
    errors: usize,
    /// How old the oldest answer was that was not true any more.
    worst_lag: Duration,
}

/// Asks for one after the other: memory, and then the daemon.
async fn ask_meanwhile(resolver: &Resolver, storm: &Storm) -> Tally {
    let mut tally = Tally::default();
    while !storm.is_over() {
        for n in 0..SIZE {
            let asked = Instant::now();
            if let Some(found) = peek(resolver, &name(n)) {
                tally.from_memory += 1;
                tally.worst_lag = tally.worst_lag.max(storm.lag(n, asked, found.address));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let n = tally.asked % SIZE;
        let asked = Instant::now();
        match lookup_in(resolver, &name(n), Duration::from_millis(20)).await {
            Ok(found) => {
                tally.asked += 1;
                tally.worst_lag = tally.worst_lag.max(storm.lag(n, asked, found.address));
            }
            Err(_) => tally.errors += 1,
        }
    }
    tally
}
