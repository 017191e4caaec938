//! Many lookups at a time: equal ones are one request, and too many are refused.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use docker_discovery::Error;
use support::{Act, Engine, answer, app, lookup, lookup_in, ok, pings, until};

const APP: &str = "x@app";

#[tokio::test]
async fn a_hundred_equal_lookups_are_one_request() {
    let engine = Engine::unix(pings(|_| {
        [vec![Act::Wait(Duration::from_millis(50))], ok(&app())].concat()
    }))
    .await;
    let resolver = Arc::new(engine.resolver());
    let lookups: Vec<_> = (0..100)
        .map(|_| {
            let resolver = Arc::clone(&resolver);
            tokio::spawn(async move { lookup(&resolver, APP).await })
        })
        .collect();
    for one in lookups {
        assert!(one.await.unwrap().is_ok());
    }
    assert_eq!((engine.count("/_ping"), engine.count("/app/json")), (1, 1));
    assert_eq!(resolver.daemons()[0].coalesced, 198);
    lookup(&resolver, APP).await.unwrap();
    assert_eq!(engine.count("/app/json"), 2);
}

#[tokio::test]
async fn the_first_asker_may_go_and_the_last_one_takes_the_request_along() {
    let engine = Engine::unix(pings(|asked| match asked.nth {
        1 => [vec![Act::Wait(Duration::from_millis(200))], ok(&app())].concat(),
        _ => vec![Act::Hang],
    }))
    .await;
    let resolver = Arc::new(engine.resolver());
    let first = {
        let resolver = Arc::clone(&resolver);
        tokio::spawn(async move { lookup(&resolver, APP).await })
    };
    until(|| engine.count("/app/json") > 0).await;
    let second = lookup(&resolver, APP);
    first.abort();
    assert!(second.await.is_ok());
    assert_eq!(engine.count("/app/json"), 1);
    let limit = Duration::from_millis(20);
    assert_eq!(lookup_in(&resolver, APP, limit).await, Err(Error::Timeout));
    until(|| resolver.daemons()[0].in_flight == 0).await;
}

#[tokio::test]
async fn beyond_its_queue_a_daemon_is_busy() {
    let engine = Engine::unix(pings(|asked| match asked.path.contains("warm-up") {
        true => answer("500 Internal Server Error", "", "warm"),
        false => vec![Act::Hang],
    }))
    .await;
    let resolver = Arc::new(engine.resolver_with(|settings| {
        settings.limits.max_in_flight = 2;
        settings.limits.max_waiting = 3;
    }));
    assert!(lookup(&resolver, "x@warm-up").await.is_err());
    let mut lookups = tokio::task::JoinSet::new();
    for number in 0..8 {
        let resolver = Arc::clone(&resolver);
        let name = format!("x@container-{number}");
        lookups.spawn(async move { lookup(&resolver, &name).await });
    }
    for _ in 0..3 {
        let first = lookups.join_next().await.unwrap().unwrap();
        assert_eq!(first, Err(Error::Busy));
    }
    assert_eq!(resolver.daemons()[0].in_flight, 5);
    until(|| engine.count("/json") >= 3).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(engine.count("/json"), 3, "two at a time, after the warm-up");
}

#[tokio::test]
async fn a_request_that_hangs_is_not_joined_for_ever() {
    // A connection that is dead without a word, as behind a partition.
    let engine = Engine::unix(pings(|asked| match asked.nth {
        1 => vec![Act::Hang],
        _ => ok(&app()),
    }))
    .await;
    let resolver = Arc::new(engine.resolver());
    let first = {
        let resolver = Arc::clone(&resolver);
        tokio::spawn(async move { lookup(&resolver, APP).await })
    };
    let limit = Duration::from_millis(700);
    assert_eq!(lookup_in(&resolver, APP, limit).await, Err(Error::Timeout));
    assert_eq!(lookup_in(&resolver, APP, limit).await, Err(Error::Timeout));
    assert!(lookup_in(&resolver, APP, limit).await.is_ok());
    assert_eq!(engine.count("/app/json"), 2);
    first.abort();
}
