//! Lookups from a name to an address: what changes while they wait, and what
//! keeps them from an answer.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::time::{Duration, Instant};

use docker_discovery::{
    AddressMode, AllowedHosts, ContainerRef, ContainerState, DistPort, Endpoint, Error, Family,
    NodeName, Via,
};
use serde_json::{Value, json};
use support::{
    Act, Engine, app, container, id, listed, lookup, lookup_in, network, not_found, ok, pings,
    world,
};

const A: &str = "aaaaaaaaaaaa";
const SHORT: Duration = Duration::from_millis(300);

fn with(mut container: Value, path: &str, value: Value) -> Value {
    *container.pointer_mut(path).unwrap() = value;
    container
}

fn in_state(state: &str) -> Value {
    with(app(), "/State", json!({"Status": state}))
}

/// Answers the first inspects with these, the last one for ever.
async fn turns(containers: Vec<Value>) -> Engine {
    Engine::unix(pings(move |asked| {
        let log = asked.nth.min(containers.len());
        ok(&containers[log - 1])
    }))
    .await
}

#[tokio::test]
async fn the_port_is_epmds_or_the_containers_own() {
    let cases = [
        (app(), DistPort::Epmd),
        (
            with(app(), "/Config/Env", json!(["ERL_DIST_PORT=4001"])),
            DistPort::Known(4001),
        ),
        (
            with(app(), "/Config/Labels", json!({"epmd-docker.port": "4002"})),
            DistPort::Known(4002),
        ),
    ];
    for (one, port) in cases {
        let engine = Engine::unix(world(vec![one])).await;
        let found = lookup(&engine.resolver(), "x@app").await.unwrap();
        assert_eq!((found.port, found.container.hostname.as_str()), (port, A));
        assert_eq!(
            found.via,
            Via::Container {
                network: "bridge".into()
            }
        );
    }
}

#[tokio::test]
async fn locate_takes_the_port_that_it_is_given() {
    let engine = Engine::unix(world(vec![app()])).await;
    let container = ContainerRef::parse("app").unwrap();
    let resolver = engine.resolver();
    let found = resolver
        .locate(&container, 4711, Family::Inet, SHORT)
        .await
        .unwrap();
    assert_eq!(found.port, DistPort::Known(4711));
}

#[tokio::test]
async fn a_name_that_is_not_dockers_is_never_asked() {
    let engine = Engine::unix(world(vec![app()])).await;
    let resolver = engine.resolver();
    for name in [
        "x@localhost",
        "x@host.example",
        "x@127.0.0.1",
        "x@a/b",
        "x@-a",
        "ü@app",
    ] {
        assert_eq!(
            lookup(&resolver, name).await,
            Err(Error::NoSuchContainer),
            "{name}"
        );
    }
    assert_eq!(engine.connections(), 0);
}

#[tokio::test]
async fn a_container_that_starts_meanwhile_is_found() {
    for before in ["created", "restarting", "exited"] {
        let engine = turns(vec![in_state(before), in_state(before), app()]).await;
        assert!(
            lookup(&engine.resolver(), "x@app").await.is_ok(),
            "{before}"
        );
    }
}

#[tokio::test]
async fn while_it_waits_a_container_is_searched_once() {
    let engine = Engine::unix(pings(|asked| {
        let mut one = in_state(if asked.nth < 4 { "created" } else { "running" });
        one["Config"]["Hostname"] = json!("this");
        match asked.path.as_str() {
            "/v1.41/containers/json?all=1" => ok(&json!([listed(&one)])),
            path if path.contains(&id(A)) => ok(&one),
            _ => not_found(),
        }
    }))
    .await;
    assert!(lookup(&engine.resolver(), "x@this").await.is_ok());
    assert_eq!(
        (
            engine.count("?all=1"),
            engine.count(&format!("{}/json", id(A)))
        ),
        (1, 4)
    );
}

#[tokio::test]
async fn a_container_that_does_not_start_says_so_at_the_deadline() {
    let engine = turns(vec![in_state("created")]).await;
    let start = Instant::now();
    let answer = lookup_in(&engine.resolver(), "x@app", SHORT).await;
    assert_eq!(answer, Err(Error::NotRunning(ContainerState::Created)));
    assert!(start.elapsed() > SHORT / 3 && start.elapsed() < SHORT + SHORT / 3);
}

#[tokio::test]
async fn what_was_seen_says_more_than_that_the_time_ran_out() {
    let engine = Engine::unix(pings(|asked| match asked.nth {
        1 => ok(&in_state("restarting")),
        _ => vec![Act::Hang],
    }))
    .await;
    let answer = lookup_in(&engine.resolver(), "x@app", SHORT).await;
    assert_eq!(answer, Err(Error::NotRunning(ContainerState::Restarting)));
}

#[tokio::test]
async fn a_stopped_container_gets_a_second_for_its_restart() {
    let engine = turns(vec![in_state("exited")]).await;
    let start = Instant::now();
    let answer = lookup(&engine.resolver(), "x@app").await;
    assert_eq!(answer, Err(Error::NotRunning(ContainerState::Exited)));
    assert!(start.elapsed() < Duration::from_millis(1200));
}

#[tokio::test]
async fn a_port_that_is_about_to_be_published_is_waited_for() {
    let published = |ports: Value| {
        let one = with(app(), "/NetworkSettings/Ports", ports);
        let one = with(
            one,
            "/HostConfig/PortBindings",
            json!({"12345/tcp": [{"HostPort": ""}]}),
        );
        with(one, "/Config/Env", json!(["ERL_DIST_PORT=12345"]))
    };
    let done = json!({"12345/tcp": [{"HostIp": "", "HostPort": "32768"}]});
    for (last, port) in [(done, Some(32768)), (json!({}), None)] {
        let engine = turns(vec![published(json!({})), published(last)]).await;
        let resolver = engine.resolver_with(|settings| settings.address = AddressMode::Published);
        let answer = lookup_in(&resolver, "x@app", SHORT).await;
        match port {
            Some(port) => assert_eq!(answer.unwrap().port, DistPort::Known(port)),
            None => assert_eq!(answer, Err(Error::NotPublished(12345))),
        }
    }
}

#[tokio::test]
async fn what_no_network_leads_to_says_why() {
    let far = with(
        app(),
        "/NetworkSettings/Networks",
        json!({"far": network("192.0.2.77", 30)}),
    );
    let v6 = json!({"six": {"GlobalIPv6Address": "2001:db8::9", "GlobalIPv6PrefixLen": 64}});
    let v6 = with(app(), "/NetworkSettings/Networks", v6);
    let port = |one: Value| with(one, "/Config/Env", json!(["ERL_DIST_PORT=4000"]));
    let cases = [
        (far.clone(), None, Error::NotPublished(4369)),
        (port(far.clone()), None, Error::NotPublished(4000)),
        (v6, None, Error::NoNetwork(vec!["six".into()])),
        (
            app(),
            Some("other"),
            Error::NoNetwork(vec!["bridge".into()]),
        ),
    ];
    for (one, only, expected) in cases {
        let engine = Engine::unix(world(vec![one])).await;
        let resolver = engine.resolver_with(|settings| settings.network = only.map(str::to_owned));
        assert_eq!(lookup(&resolver, "x@app").await, Err(expected));
    }
}

#[tokio::test]
async fn the_network_of_another_container_is_used_where_it_is_joined() {
    let own = with(
        app(),
        "/HostConfig/NetworkMode",
        json!(format!("container:{}", id("bb"))),
    );
    let own = with(
        own,
        "/NetworkSettings",
        json!({"Ports": {}, "Networks": {}}),
    );
    let other = with(
        container("bb", "other"),
        "/NetworkSettings/Networks/bridge/IPAddress",
        json!("127.0.0.77"),
    );
    let engine = Engine::unix(world(vec![own.clone(), other])).await;
    let found = lookup(&engine.resolver(), "x@app").await.unwrap();
    assert_eq!(found.address.to_string(), "127.0.0.77");
    assert_eq!(found.container.name, "app");
    let engine = Engine::unix(world(vec![own])).await;
    let answer = lookup(&engine.resolver(), "x@app").await;
    assert_eq!(answer, Err(Error::NoNetwork(Vec::new())));
}

#[tokio::test]
async fn on_a_host_it_is_the_published_port() {
    let engine = Engine::tcp(world(vec![app()])).await;
    for docker_host in [
        engine.endpoint.clone(),
        Endpoint::parse("/nowhere").unwrap(),
    ] {
        let is_own = docker_host == engine.endpoint;
        let resolver = engine.resolver_with(|settings| {
            settings.daemon_port = engine.port();
            settings.docker_host = docker_host;
        });
        let found = lookup(&resolver, &format!("{A}@127.0.0.1")).await.unwrap();
        assert_eq!(
            (found.port, found.via),
            (DistPort::Known(32768), Via::Published)
        );
        assert_eq!(found.address.to_string(), "127.0.0.1");
        assert_eq!(resolver.daemons().len(), if is_own { 1 } else { 2 });
    }
}

#[tokio::test]
async fn a_literal_of_the_other_family_is_not_asked() {
    let engine = Engine::tcp(world(vec![app()])).await;
    let resolver = engine.resolver_with(|settings| settings.daemon_port = engine.port());
    let name = format!("{}@127.0.0.1", id(A));
    let node = NodeName::parse(name.as_bytes()).unwrap();
    let answer = resolver.lookup(&node, Family::Inet6, SHORT).await;
    assert_eq!(answer, Err(Error::NoHostAddress("127.0.0.1".into())));
    assert_eq!(engine.connections(), 0);
}

#[tokio::test]
async fn a_host_that_is_not_allowed_is_not_connected_to() {
    let engine = Engine::tcp(world(vec![app()])).await;
    let resolver = engine.resolver_with(|settings| {
        settings.daemon_port = engine.port();
        settings.docker_host = Endpoint::parse("/nowhere").unwrap();
        settings.allowed_hosts = AllowedHosts::parse(&["10.0.0.0/8"]).unwrap();
    });
    for host in ["127.0.0.1", "::ffff:127.0.0.1", "::1", "8.8.8.8"] {
        let expected = Err(Error::HostNotAllowed(host.to_owned()));
        assert_eq!(lookup(&resolver, &format!("{A}@{host}")).await, expected);
    }
    assert_eq!(engine.connections(), 0);
}

#[tokio::test]
async fn a_daemon_cannot_send_us_to_a_host_that_is_not_allowed() {
    let ports = json!({"12345/tcp": [{"HostIp": "203.0.113.9", "HostPort": "80"}]});
    let engine = Engine::tcp(world(vec![with(app(), "/NetworkSettings/Ports", ports)])).await;
    let resolver = engine.resolver_with(|settings| settings.daemon_port = engine.port());
    let answer = lookup(&resolver, &format!("{A}@127.0.0.1")).await;
    assert_eq!(answer, Err(Error::HostNotAllowed("203.0.113.9".into())));
}

#[tokio::test]
async fn daemons_are_bounded_and_the_oldest_makes_room() {
    let engine = Engine::tcp(world(vec![app()])).await;
    let resolver = engine.resolver_with(|settings| {
        settings.daemon_port = engine.port();
        settings.docker_host = Endpoint::parse("/nowhere").unwrap();
        settings.limits.max_daemons = 2;
    });
    for host in ["127.0.0.1", "127.0.0.2", "127.0.0.1", "127.0.0.3"] {
        let _ = lookup(&resolver, &format!("{A}@{host}")).await;
    }
    let endpoints = resolver
        .daemons()
        .into_iter()
        .skip(1)
        .map(|one| one.endpoint.to_string());
    let port = engine.port();
    let expected = ["127.0.0.1", "127.0.0.3"].map(|host| format!("tcp://{host}:{port}"));
    assert_eq!(endpoints.collect::<Vec<_>>(), expected);
}
