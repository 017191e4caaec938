//! What `Resolver::explain` tells: every way to a container, and why it is taken
//! or not. The choice is that of a lookup.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::time::Duration;

use docker_discovery::{
    AddressMode, Candidate, ContainerState, DistPort, Error, Explained, Family, NodeName,
    PortSource, Refusal, Resolver, Verdict, Via,
};
use serde_json::{Value, json};
use support::{Act, Engine, app, lookup, network, world};

const SHORT: Duration = Duration::from_millis(500);

async fn explain(resolver: &Resolver, node: &str) -> Result<Explained, Error> {
    let node = NodeName::parse(node.as_bytes()).unwrap();
    resolver.explain(&node, Family::Inet, SHORT).await
}

fn with(mut container: Value, path: &str, value: Value) -> Value {
    *container.pointer_mut(path).unwrap() = value;
    container
}

/// Its distribution port is published in every way, and it is on four networks.
fn everywhere() -> Value {
    let labelled = with(
        app(),
        "/Config/Labels",
        json!({"epmd-docker.port": "12345"}),
    );
    let bindings = json!({"12345/tcp": [
        {"HostIp": "127.0.0.1", "HostPort": "1"},
        {"HostIp": "0.0.0.0", "HostPort": "2"},
        {"HostIp": "::", "HostPort": "3"},
        {"HostIp": "198.51.100.7", "HostPort": "4"},
    ]});
    let published = with(labelled, "/NetworkSettings/Ports", bindings);
    let networks = json!({
        "a_far": network("198.51.100.9", 24),
        "b_near": network("127.0.0.9", 8),
        "c_near": network("127.0.0.8", 8),
        "d_six": {"GlobalIPv6Address": "2001:db8::1", "GlobalIPv6PrefixLen": 64},
    });
    with(published, "/NetworkSettings/Networks", networks)
}

fn told(candidates: &[Candidate]) -> Vec<(String, u16, Verdict)> {
    let text = |one: &Candidate| match &one.via {
        Via::Container { network } => network.clone(),
        other => format!("{other:?}"),
    };
    let port = |one: &Candidate| one.port.unwrap_or(0);
    candidates
        .iter()
        .map(|one| (text(one), port(one), one.verdict))
        .collect()
}

#[tokio::test]
async fn all_ways_are_told_and_the_lookup_takes_the_one_marked() {
    let engine = Engine::unix(world(vec![everywhere()])).await;
    let resolver = engine.resolver();
    let explained = explain(&resolver, "x@app").await.unwrap();
    assert_eq!(explained.error, None);
    assert_eq!(
        explained.port,
        Some((DistPort::Known(12345), PortSource::Label))
    );
    let refused = Verdict::Refused;
    let expected = [
        ("a_far", 12345, refused(Refusal::NotShared)),
        ("b_near", 12345, Verdict::Taken),
        ("c_near", 12345, Verdict::Spare(0)),
        ("d_six", 12345, refused(Refusal::OtherFamily)),
    ];
    let own: Vec<_> = expected.map(|(a, b, c)| (a.to_owned(), b, c)).into();
    assert_eq!(told(&explained.candidates)[..4], own);
    assert_eq!(explained.candidates.len(), 8);
    assert_eq!(
        explained.candidates[6].verdict,
        refused(Refusal::OtherFamily)
    );
    let taken: Vec<_> = explained
        .candidates
        .iter()
        .filter(|one| one.verdict == Verdict::Taken)
        .collect();
    let found = lookup(&resolver, "x@app").await.unwrap();
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].address, Some(found.address));
}

#[tokio::test]
async fn the_setting_address_refuses_the_other_kind() {
    for (address, own) in [
        (AddressMode::Container, false),
        (AddressMode::Published, true),
    ] {
        let engine = Engine::unix(world(vec![everywhere()])).await;
        let resolver = engine.resolver_with(|settings| settings.address = address);
        let explained = explain(&resolver, "x@app").await.unwrap();
        for one in &explained.candidates {
            let is_own = matches!(one.via, Via::Container { .. });
            let refused = one.verdict == Verdict::Refused(Refusal::NotWanted);
            assert_eq!(refused, is_own == own, "{address:?} {one:?}");
        }
        assert!(lookup(&resolver, "x@app").await.is_ok());
    }
}

#[tokio::test]
async fn it_tells_how_far_it_got() {
    let exited = with(app(), "/State", json!({"Status": "exited"}));
    let engine = Engine::unix(world(vec![exited])).await;
    let resolver = engine.resolver();
    let stopped = explain(&resolver, "x@app").await.unwrap();
    assert_eq!(
        stopped.error,
        Some(Error::NotRunning(ContainerState::Exited))
    );
    assert!(stopped.container.is_some() && stopped.candidates.is_empty());
    let unknown = explain(&resolver, "x@nobody").await.unwrap();
    assert_eq!(unknown.error, Some(Error::NoSuchContainer));
    assert_eq!(unknown.container, None);
    assert_eq!(
        explain(&resolver, "x@host.example").await.unwrap_err(),
        Error::NoSuchContainer
    );
    let forbidden = explain(&resolver, "0123456789ab@192.0.2.1").await;
    assert_eq!(
        forbidden.unwrap_err(),
        Error::HostNotAllowed("192.0.2.1".into())
    );
}

#[tokio::test]
async fn a_daemon_that_says_nothing_is_waited_for_no_longer_than_said() {
    let engine = Engine::unix(|_| vec![Act::Hang]).await;
    let started = std::time::Instant::now();
    let explained = explain(&engine.resolver(), "x@app").await.unwrap();
    assert_eq!(explained.error, Some(Error::Timeout));
    assert!(started.elapsed() < SHORT * 3);
}
