//! Subscriptions: whom they concern, and that nobody pays for those that ended.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use docker_discovery::{Change, Endpoint, HostAddr, Resolver, Subscription, WatchState};
use serde_json::{Value, json};
use support::crowd::Crowd;
use support::living::{Living, own};
use support::{app, container, lookup, until};

type Told = Arc<Mutex<Vec<String>>>;

fn subscribe(resolver: &Resolver, labels: &[(&str, &str)]) -> (Subscription, Told) {
    let told = Told::default();
    let heard = Arc::clone(&told);
    let labels: Vec<_> = labels
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    let tell = move |change: Change| {
        heard.lock().unwrap().push(words(&change));
        true
    };
    let subscription = resolver.subscribe(None, &labels, tell).unwrap();
    (subscription, told)
}

fn words(change: &Change) -> String {
    match change {
        Change::Snapshot(all) => {
            let names: Vec<_> = all.iter().map(|one| one.container.name.as_str()).collect();
            format!("all {}", names.join(" "))
        }
        Change::Up(one) => format!("up {}", one.container.name),
        Change::Down(one) => format!("down {}", one.container.name),
        Change::Changed(one) => format!("changed {}", one.container.name),
    }
}

async fn until_told(told: &Told, expected: &[&str]) {
    until(|| told.lock().unwrap().len() >= expected.len()).await;
    assert_eq!(*told.lock().unwrap(), expected);
}

fn labelled(id: &str, name: &str, labels: Value) -> Value {
    let mut one = container(id, name);
    one["Config"]["Labels"] = labels;
    one
}

fn stop(one: &mut Value) {
    one["State"] = json!({"Status": "exited", "Running": false, "Paused": false});
}

#[tokio::test]
async fn by_labels_all_of_which_it_has() {
    let secret = labelled(
        "aaaaaaaaaaaa",
        "blue",
        json!({"team": "blue", "tier": "db", "com.docker.compose.project": "shop"}),
    );
    let red = labelled("bbbbbbbbbbbb", "red", json!({"team": "red", "tier": "db"}));
    let bare = container("cccccccccccc", "bare");
    let living = Living::new(vec![secret.clone(), red.clone(), bare]).await;
    let resolver = living.resolver();
    let expected: [(&[(&str, &str)], &str); 7] = [
        (&[], "all blue red bare"),
        (&[("team", "blue")], "all blue"),
        (&[("tier", "db")], "all blue red"),
        (&[("tier", "db"), ("team", "red")], "all red"),
        (&[("team", "")], "all "),
        (&[("com.docker.compose.project", "shop")], "all blue"),
        (&[("com.docker.compose.project", "sho")], "all "),
    ];
    let mut all = Vec::new();
    for (labels, snapshot) in expected {
        let one = subscribe(&resolver, labels);
        until_told(&one.1, &[snapshot]).await;
        all.push(one);
    }
    living.change(|all| stop(&mut all[1]));
    living.happened("die", &red);
    until_told(&all[0].1, &["all blue red bare", "down red"]).await;
    for (n, told) in [(1, 1), (2, 2), (3, 2), (4, 1), (5, 1), (6, 1)] {
        assert_eq!(all[n].1.lock().unwrap().len(), told, "{:?}", expected[n]);
    }
    drop((all, secret));
}

#[tokio::test]
async fn one_that_has_ended_is_told_nothing_and_costs_no_inspects() {
    let living = Living::new(vec![app(), container("bbbbbbbbbbbb", "other")]).await;
    let resolver =
        living.resolver_with(|settings| settings.watch = Some(Duration::from_millis(100)));
    let (subscription, told) = subscribe(&resolver, &[]);
    until_told(&told, &["all app other"]).await;
    // A new one is of interest to somebody who hears of all.
    let third = container("cccccccccccc", "third");
    living.change(|all| all.push(third.clone()));
    living.happened("start", &third);
    until_told(&told, &["all app other", "up third"]).await;
    drop(subscription);
    let lists = living.engine.count("/containers/json?all=1");
    until(|| living.engine.count("/containers/json?all=1") > lists + 1).await;
    let fourth = container("dddddddddddd", "fourth");
    living.change(|all| all.push(fourth.clone()));
    living.happened("start", &fourth);
    until(|| own(&resolver).containers == 4).await;
    lookup(&resolver, "x@app").await.unwrap();
    assert_eq!(
        own(&resolver).known,
        3,
        "of the fourth nobody wants to know"
    );
    assert_eq!(told.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_host_is_followed_for_as_long_as_somebody_subscribes() {
    let host = Crowd::at(SocketAddr::from(([127, 0, 0, 1], 0)), &[app()]);
    let resolver = host.engine.resolver_with(|settings| {
        settings.docker_host = Endpoint::parse("unix:///nowhere").unwrap();
        settings.daemon_port = host.engine.port();
        settings.watch = Some(Duration::from_millis(50));
        settings.limits.watch_idle = Duration::from_millis(200);
    });
    let address = HostAddr::parse("127.0.0.1");
    let subscription = resolver.subscribe(address.as_ref(), &[], |_| true).unwrap();
    let state = || resolver.daemons().remove(1).watch;
    until(|| state() == WatchState::Following).await;
    let lists = || host.engine.count("/containers/json?all=1");
    until(|| lists() > 10).await;
    assert_eq!(state(), WatchState::Following);
    subscription.end();
    until(|| state() == WatchState::Off).await;
}
