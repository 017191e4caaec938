//! 200 Docker hosts: each is followed, none is mistaken for another, and what
//! nobody asks about is let go.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use docker_discovery::{DistPort, Endpoint, Resolver, Settings, WatchState};
use serde_json::{Value, json};
use support::crowd::{Crowd, one_of_many, short_id};
use support::living::peek;
use support::lookup;

const HOSTS: usize = 200;
const EACH: usize = 50;

/// The same containers on each host, but for their ports.
fn containers(host: usize) -> Vec<Value> {
    let mut all: Vec<_> = (0..EACH).map(one_of_many).collect();
    for (n, one) in all.iter_mut().enumerate() {
        let binding = json!([{"HostIp": "0.0.0.0", "HostPort": port(host, n).to_string()}]);
        one["NetworkSettings"]["Ports"] = json!({"12345/tcp": binding});
    }
    all
}

fn port(host: usize, n: usize) -> u16 {
    u16::try_from(10_000 + host * EACH + n).unwrap()
}

fn ip(host: usize) -> [u8; 4] {
    [127, 0, 9, u8::try_from(host + 1).unwrap()]
}

fn name(host: usize, n: usize) -> String {
    let [a, b, c, d] = ip(host);
    format!("{}@{a}.{b}.{c}.{d}", short_id(n))
}

/// All at the same port: that is a setting of its own.
fn hosts() -> (u16, Vec<Crowd>) {
    let first = Crowd::at(SocketAddr::from((ip(0), 0)), &containers(0));
    let port = first.engine.port();
    let others =
        (1..HOSTS).map(|host| Crowd::at(SocketAddr::from((ip(host), port)), &containers(host)));
    (port, std::iter::once(first).chain(others).collect())
}

fn resolver(port: u16, change: impl FnOnce(&mut Settings)) -> Arc<Resolver> {
    let mut settings = Settings {
        docker_host: Endpoint::parse("unix:///nowhere").unwrap(),
        daemon_port: port,
        watch: Some(Duration::from_secs(1)),
        ..Settings::default()
    };
    change(&mut settings);
    Arc::new(Resolver::new(settings))
}

async fn slowly_until(condition: impl Fn() -> bool) {
    for _ in 0..600 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it did not come true");
}

fn states(resolver: &Resolver, state: &WatchState) -> usize {
    let daemons = resolver.daemons();
    daemons.iter().filter(|one| one.watch == *state).count()
}

/// Streams that are still read.
fn readers(hosts: &[Crowd]) -> usize {
    hosts.iter().for_each(|host| host.events.say("\n"));
    hosts.iter().map(|host| host.events.readers()).sum()
}

#[tokio::test]
async fn two_hundred_hosts_with_fifty_containers_each() {
    let (port_of_all, hosts) = hosts();
    let followed = resolver(port_of_all, |settings| {
        settings.limits.watch_idle = Duration::from_secs(3)
    });
    let each_host = (0..HOSTS).map(|host| {
        let followed = Arc::clone(&followed);
        tokio::spawn(async move {
            for n in 0..EACH {
                let found = lookup(&followed, &name(host, n)).await.unwrap();
                assert_eq!(found.port, DistPort::Known(port(host, n)));
            }
        })
    });
    for one in each_host.collect::<Vec<_>>() {
        one.await.unwrap();
    }
    slowly_until(|| states(&followed, &WatchState::Following) == HOSTS).await;
    let inspects = hosts
        .iter()
        .map(|one| one.engine.count("/json"))
        .sum::<usize>();
    println!("{inspects} requests about {} containers", HOSTS * EACH);
    let from_memory = (0..HOSTS).flat_map(|host| (0..EACH).map(move |n| (host, n)));
    let from_memory = from_memory.filter_map(|(host, n)| {
        let found = peek(&followed, &name(host, n))?;
        assert_eq!(found.port, DistPort::Known(port(host, n)));
        Some(found)
    });
    assert!(
        from_memory.count() > HOSTS * EACH / 2,
        "the others were asked for before their list"
    );
    slowly_until(|| states(&followed, &WatchState::Off) == HOSTS + 1 && readers(&hosts) == 0).await;
    assert!(followed.daemons().iter().all(|one| one.containers == 0));
    few_at_a_time(port_of_all, &hosts).await;
}

async fn few_at_a_time(port_of_all: u16, hosts: &[Crowd]) {
    let few = resolver(port_of_all, |settings| settings.limits.max_daemons = 20);
    for host in 0..HOSTS {
        let found = lookup(&few, &name(host, 0)).await.unwrap();
        assert_eq!(found.port, DistPort::Known(port(host, 0)));
        assert!(few.daemons().len() <= 21);
    }
    slowly_until(|| readers(hosts) <= 20).await;
}
