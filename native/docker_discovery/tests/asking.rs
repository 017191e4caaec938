//! When a daemon that is followed is asked all the same, and when it is not.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use docker_discovery::{Error, NodeName, Resolver, WatchState};
use support::living::{Living, address, move_to, own, peek, until_following, until_known};
use support::{Act, Asked, app, container, lookup, ok, until};

const APP: &str = "x@app";

#[tokio::test]
async fn what_is_not_there_is_asked_for_once_until_something_starts() {
    let living = Living::new(vec![app()]).await;
    let resolver = living.resolver();
    resolver.begin();
    until_following(&resolver).await;
    let none = || lookup(&resolver, "x@other");
    assert_eq!(none().await, Err(Error::NoSuchContainer));
    let asked = living.engine.asked().len();
    for _ in 0..100 {
        assert_eq!(none().await, Err(Error::NoSuchContainer));
    }
    assert_eq!(living.engine.asked().len(), asked);
    let other = container("bbbbbbbbbbbb", "other");
    living.change(|all| all.push(other.clone()));
    living.happened("start", &other);
    let came = until_found(&resolver, "x@other").await;
    assert!(came < Duration::from_millis(50), "{came:?}");
}

/// Asks until it is there, and says how long that took.
async fn until_found(resolver: &Arc<Resolver>, name: &str) -> Duration {
    let began = Instant::now();
    while lookup(resolver, name).await.is_err() {
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(began.elapsed() < Duration::from_secs(5));
    }
    began.elapsed()
}

/// The answer to a question from before an event may lack what the event told of.
#[tokio::test]
async fn who_asks_after_an_event_does_not_join_a_question_from_before_it() {
    let slow = Arc::new(AtomicBool::new(false));
    let (flag, before) = (Arc::clone(&slow), app());
    let script = move |asked: &Asked| {
        let held = flag.load(SeqCst) && asked.path.ends_with("/containers/app/json");
        held.then(|| {
            flag.store(false, SeqCst);
            let wait = Act::Wait(Duration::from_millis(300));
            [wait].into_iter().chain(ok(&before)).collect()
        })
    };
    let other = container("bbbbbbbbbbbb", "other");
    let living = Living::with(vec![app(), other.clone()], script).await;
    let resolver = living.resolver();
    resolver.begin();
    until_following(&resolver).await;
    until_known(&resolver, "x@other").await;
    slow.store(true, SeqCst);
    let asking = {
        let resolver = Arc::clone(&resolver);
        tokio::spawn(async move { lookup(&resolver, APP).await })
    };
    until(|| !slow.load(SeqCst)).await;
    living.change_first(|app| move_to(app, "127.0.0.10"));
    living.happened("die", &app());
    living.happened("start", &app());
    // Told after those, and so they have come when this has.
    living.happened("die", &other);
    until(|| peek(&resolver, "x@other").is_none()).await;
    let found = lookup(&resolver, APP).await.unwrap();
    assert_eq!(found.address, address("127.0.0.10"));
    asking.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_has_led_nowhere_is_asked_for_again() {
    let living = Living::new(vec![app()]).await;
    let resolver = living.resolver();
    until_known(&resolver, APP).await;
    // No event tells of this.
    living.change_first(|app| move_to(app, "127.0.0.10"));
    assert_eq!(peek(&resolver, APP).unwrap().address, address("127.0.0.9"));
    resolver.doubt(&NodeName::parse(APP.as_bytes()).unwrap());
    assert_eq!(
        lookup(&resolver, APP).await.unwrap().address,
        address("127.0.0.10")
    );
    until(|| peek(&resolver, APP).is_some()).await;
}

#[tokio::test]
async fn the_local_daemon_is_watched_from_the_beginning() {
    let living = Living::new(vec![app()]).await;
    let resolver = living.resolver();
    resolver.begin();
    until_following(&resolver).await;
    let resolver = living.resolver_with(|settings| settings.watch = None);
    resolver.begin();
    assert_eq!(own(&resolver).watch, WatchState::Off);
}
