//! A daemon that says nothing: who waits for it, how long, and what it costs the others.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use docker_discovery::{DaemonState, Error};
use support::living::{Living, own, until_known};
use support::{Act, Engine, app, lookup, lookup_in, pings, until, world};

const APP: &str = "x@app";

/// A daemon of one container that hangs for as long as the flag is set.
async fn hanging() -> (Engine, Arc<AtomicBool>) {
    let hangs = Arc::new(AtomicBool::new(true));
    let flag = Arc::clone(&hangs);
    let works = world(vec![app()]);
    let engine = Engine::unix(move |asked| match flag.load(SeqCst) {
        true => vec![Act::Hang],
        false => works(asked),
    });
    (engine.await, hangs)
}

#[tokio::test]
async fn a_silent_daemon_is_given_up_early_and_then_at_once_until_it_answers() {
    let (engine, hangs) = hanging().await;
    let resolver = engine.resolver();
    let began = Instant::now();
    let long = Duration::from_secs(20);
    assert_eq!(lookup_in(&resolver, APP, long).await, Err(Error::Timeout));
    let took = began.elapsed();
    assert!(
        took > Duration::from_secs(2) && took < Duration::from_secs(5),
        "{took:?}"
    );

    let began = Instant::now();
    for _ in 0..1000 {
        assert_eq!(lookup(&resolver, APP).await, Err(Error::Timeout));
    }
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(own(&resolver).state, DaemonState::Down(Error::Timeout));

    hangs.store(false, SeqCst);
    let began = Instant::now();
    while lookup(&resolver, APP).await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(own(&resolver).state, DaemonState::Up);
}

/// Docker holds an inspect back while that container starts, and answers pings meanwhile.
#[tokio::test]
async fn a_daemon_that_is_slow_with_one_answer_is_waited_for() {
    let works = world(vec![app()]);
    let engine = Engine::unix(pings(move |asked| {
        let slow = [Act::Wait(Duration::from_secs(3))];
        slow.into_iter().chain(works(asked)).collect()
    }))
    .await;
    let resolver = engine.resolver();
    assert!(
        lookup_in(&resolver, APP, Duration::from_secs(20))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn what_was_known_is_answered_at_once_while_the_daemon_hangs() {
    let hangs = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&hangs);
    let script = move |_: &_| flag.load(SeqCst).then(|| vec![Act::Hang]);
    let living = Living::with(vec![app()], script).await;
    let resolver = living.resolver();
    let known = until_known(&resolver, APP).await;
    hangs.store(true, SeqCst);
    living.events.cut();
    until(|| support::living::peek(&resolver, APP).is_none()).await;
    let old = lookup_in(&resolver, APP, Duration::from_secs(20))
        .await
        .unwrap();
    assert!(old.stale && old.address == known.address);
    let began = Instant::now();
    assert!(lookup(&resolver, APP).await.unwrap().stale);
    assert!(
        began.elapsed() < Duration::from_millis(100),
        "{:?}",
        began.elapsed()
    );

    hangs.store(false, SeqCst);
    let began = Instant::now();
    while lookup(&resolver, APP).await.unwrap().stale {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn a_dead_daemon_delays_nobody_else() {
    let (dead, _hangs) = hanging().await;
    let alive = Engine::tcp(world(vec![app()])).await;
    let port = alive.port();
    let resolver = Arc::new(dead.resolver_with(|settings| settings.daemon_port = port));
    let asking = (0..1000).map(|_| {
        let resolver = Arc::clone(&resolver);
        tokio::spawn(async move { lookup(&resolver, APP).await })
    });
    let asking: Vec<_> = asking.collect();
    let began = Instant::now();
    let found = lookup(&resolver, "aaaaaaaaaaaa@127.0.0.1").await;
    assert!(found.is_ok(), "{found:?}");
    assert!(
        began.elapsed() < Duration::from_millis(300),
        "{:?}",
        began.elapsed()
    );
    for asker in asking {
        assert_eq!(asker.await.unwrap(), Err(Error::Timeout));
    }
}
