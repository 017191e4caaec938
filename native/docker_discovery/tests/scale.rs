//! Many containers on one daemon, and many lookups at a time.
//!
//! `cargo test --release --test scale -- --nocapture` shows the figures.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use docker_discovery::Resolver;
use support::crowd::{Crowd, ip_of, short_id};
use support::living::{own, peek, until_following};
use support::{Act, Engine, lookup, ok, pings};

const MANY: usize = 10_000;

fn follower(crowd: &Crowd, refresh: Duration) -> Arc<Resolver> {
    Arc::new(
        crowd
            .engine
            .resolver_with(|settings| settings.watch = Some(refresh)),
    )
}

/// All are known: a subscriber wants to hear of each.
async fn until_all_known(resolver: &Resolver, size: usize) {
    let _all = resolver.subscribe(None, &[], |_| true).unwrap();
    let began = Instant::now();
    while own(resolver).known < size {
        assert!(
            began.elapsed() < Duration::from_secs(120),
            "{:?}",
            own(resolver)
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Everything that number `n` is called.
fn names_of(n: usize) -> [String; 7] {
    [
        format!("x@{}", short_id(n)),
        format!("x@{}0000", short_id(n)),
        format!("x@{}", support::id(&short_id(n))),
        format!("x@project-node-{n}"),
        format!("x@host-{n}"),
        format!("x@alias-{n}"),
        format!("x@service-{n}"),
    ]
}

#[tokio::test]
async fn ten_thousand_containers_by_all_their_names_as_fast_as_ten() {
    let mut medians = Vec::new();
    for size in [10, MANY] {
        let crowd = Crowd::new(size);
        let resolver = follower(&crowd, Duration::from_secs(60));
        let began = Instant::now();
        lookup(&resolver, &names_of(0)[0]).await.unwrap();
        until_following(&resolver).await;
        println!(
            "{size}: followed after {:?}, list of {} bytes",
            began.elapsed(),
            crowd.list_size()
        );
        assert_eq!(own(&resolver).containers, size);
        let began = Instant::now();
        until_all_known(&resolver, size).await;
        println!("{size}: all known after another {:?}", began.elapsed());
        let asked = crowd.engine.asked().len();
        let mut times = Vec::new();
        for n in (0..size).step_by((size / 100).max(1)) {
            for name in names_of(n) {
                let began = Instant::now();
                let found = peek(&resolver, &name);
                times.push(began.elapsed());
                assert_eq!(
                    found.unwrap_or_else(|| panic!("{name}")).address,
                    IpAddr::from(ip_of(n))
                );
            }
        }
        assert_eq!(crowd.engine.asked().len(), asked, "all from memory");
        times.sort();
        medians.push(times[times.len() / 2]);
    }
    println!("a known name, of 10 and of {MANY}: {medians:?}");
    assert!(
        medians[1] < medians[0] * 5 + Duration::from_micros(5),
        "{medians:?}"
    );
}

#[tokio::test]
async fn no_lookup_waits_for_a_list_of_ten_thousand() {
    let crowd = Crowd::new(MANY);
    let resolver = follower(&crowd, Duration::from_millis(200));
    let name = &names_of(7)[3];
    lookup(&resolver, name).await.unwrap();
    until_following(&resolver).await;
    until_all_known(&resolver, MANY).await;
    let peeker = Peeker::start(&resolver, name);
    let lists = || crowd.engine.count("/containers/json?all=1");
    let (before, mut worst) = (lists(), Duration::ZERO);
    while lists() < before + 4 {
        let began = Instant::now();
        assert_eq!(
            lookup(&resolver, name).await.unwrap().address,
            IpAddr::from(ip_of(7))
        );
        tokio::time::sleep(Duration::from_micros(100)).await;
        worst = worst.max(began.elapsed());
    }
    let (peeks, misses, slowest) = peeker.stop();
    println!(
        "during lists of {MANY}: worst pause of a lookup {worst:?}; \
        of {peeks} peeks {misses} had to go the long way, slowest {slowest:?}"
    );
    let limit = if cfg!(debug_assertions) { 400 } else { 50 };
    assert!(worst < Duration::from_millis(limit), "{worst:?}");
    assert!(slowest < Duration::from_millis(limit), "{slowest:?}");
}

/// A scheduler of the VM that asks memory all the time.
struct Peeker {
    ends: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<(usize, usize, Duration)>,
}

impl Peeker {
    fn start(resolver: &Arc<Resolver>, name: &str) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let (end, resolver, name) = (Arc::clone(&ends), Arc::clone(resolver), name.to_owned());
        let thread = std::thread::spawn(move || {
            let (mut peeks, mut misses, mut slowest) = (0, 0, Duration::ZERO);
            while !end.load(SeqCst) {
                let began = Instant::now();
                misses += usize::from(peek(&resolver, &name).is_none());
                slowest = slowest.max(began.elapsed());
                peeks += 1;
                std::thread::sleep(Duration::from_micros(50));
            }
            (peeks, misses, slowest)
        });
        Self { ends, thread }
    }

    fn stop(self) -> (usize, usize, Duration) {
        self.ends.store(true, SeqCst);
        self.thread.join().unwrap()
    }
}

#[tokio::test]
async fn a_thousand_lookups_of_one_container_are_one_request() {
    let engine = Engine::unix(pings(|_| {
        [
            vec![Act::Wait(Duration::from_millis(100))],
            ok(&support::app()),
        ]
        .concat()
    }))
    .await;
    let resolver = Arc::new(engine.resolver());
    let lookups: Vec<_> = (0..1000)
        .map(|_| {
            let resolver = Arc::clone(&resolver);
            tokio::spawn(async move { lookup(&resolver, "x@app").await })
        })
        .collect();
    for one in lookups {
        assert!(one.await.unwrap().is_ok());
    }
    assert_eq!(engine.count("/app/json"), 1);
}

#[tokio::test]
async fn a_thousand_lookups_of_a_thousand_containers_all_get_their_turn() {
    let crowd = Crowd::new(1000);
    crowd.slow_down(Duration::from_millis(5));
    let resolver = Arc::new(crowd.engine.resolver());
    let began = Instant::now();
    let lookups: Vec<_> = (0..1000)
        .map(|n| {
            let resolver = Arc::clone(&resolver);
            tokio::spawn(async move { lookup(&resolver, &names_of(n)[3]).await })
        })
        .collect();
    let mut addresses = HashSet::new();
    for (n, one) in lookups.into_iter().enumerate() {
        let found = one.await.unwrap().unwrap();
        assert_eq!(found.address, IpAddr::from(ip_of(n)));
        addresses.insert(found.address);
    }
    println!(
        "a thousand lookups of as many containers: {:?}, at most {} at a time",
        began.elapsed(),
        crowd.engine.most_at_a_time()
    );
    assert_eq!((addresses.len(), crowd.engine.count("/json")), (1000, 1000));
    let bound = resolver.settings().limits.max_in_flight;
    assert_eq!(crowd.engine.most_at_a_time(), bound);
}
