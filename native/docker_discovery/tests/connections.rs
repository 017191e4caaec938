//! Connections that go stale, break, hang or never come about.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::time::{Duration, Instant};

use docker_discovery::{DaemonState, Endpoint, Errno, Error, Resolver, Settings};
use support::{Act, Engine, answer, app, lookup, lookup_in, ok, pings, say, until, world};

const APP: &str = "x@app";

fn reset(engine: &Engine) -> Error {
    connect(&engine.endpoint, Errno::Econnreset)
}

fn connect(endpoint: &Endpoint, errno: Errno) -> Error {
    let endpoint = endpoint.to_string();
    Error::Connect { endpoint, errno }
}

#[tokio::test]
async fn over_a_unix_socket_and_over_tcp() {
    let engines = [
        Engine::unix(world(vec![app()])).await,
        Engine::tcp(world(vec![app()])).await,
    ];
    for engine in engines {
        let resolver = engine.resolver();
        let found = lookup(&resolver, APP).await.unwrap();
        assert_eq!(found.address.to_string(), "127.0.0.9");
        assert_eq!(found.container.daemon, engine.endpoint.to_string());
        let asked = engine.asked();
        let paths: Vec<_> = asked.iter().map(|one| one.path.as_str()).collect();
        assert_eq!(paths, ["/_ping", "/v1.41/containers/app/json"]);
        assert!(
            asked
                .iter()
                .all(|one| one.host == "docker" || one.host.starts_with("127.0.0.1:"))
        );
        assert_eq!(engine.connections(), 1);
        assert_eq!(resolver.daemons()[0].state, DaemonState::Up);
    }
}

#[tokio::test]
async fn a_pooled_connection_that_the_daemon_closes_on_use_is_tried_once_more() {
    let engine = Engine::unix(pings(|asked| match asked.connection {
        1 => vec![Act::Close],
        _ => ok(&app()),
    }))
    .await;
    assert!(lookup(&engine.resolver(), APP).await.is_ok());
    assert_eq!((engine.count("/app/json"), engine.connections()), (2, 2));
}

#[tokio::test]
async fn the_second_try_takes_no_other_pooled_connection() {
    // Two connections in the pool, and both close on their next use.
    let engine = Engine::unix(pings(|asked| {
        match (asked.connection, asked.path.as_str()) {
            (1 | 2, "/v1.41/containers/app/json") => vec![Act::Close],
            (1 | 2, _) => {
                let slow = vec![Act::Wait(Duration::from_millis(100))];
                [slow, answer("500 Internal Server Error", "", "no")].concat()
            }
            _ => ok(&app()),
        }
    }))
    .await;
    let resolver = engine.resolver();
    let (one, two) = tokio::join!(lookup(&resolver, "x@one"), lookup(&resolver, "x@two"));
    assert!(one.is_err() && two.is_err());
    assert_eq!(engine.connections(), 2);
    assert!(lookup(&resolver, APP).await.is_ok());
    assert_eq!((engine.count("/app/json"), engine.connections()), (2, 3));
}

#[tokio::test]
async fn an_idle_connection_that_the_daemon_has_closed_is_not_an_error() {
    let engine = Engine::unix(|asked| {
        let mut acts = world(vec![app()])(asked);
        acts.push(Act::Close);
        acts
    })
    .await;
    let resolver = engine.resolver();
    for _ in 0..10 {
        assert!(lookup(&resolver, APP).await.is_ok());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_daemon_that_always_closes_is_asked_twice() {
    for close in [
        vec![Act::Close],
        vec![say("HTTP/1.1 200 OK\r\nContent-"), Act::Close],
    ] {
        let engine = Engine::unix(pings(move |_| close.clone())).await;
        let resolver = engine.resolver();
        assert_eq!(lookup(&resolver, APP).await, Err(reset(&engine)));
        assert_eq!(engine.count("/app/json"), 2);
        assert_eq!(
            resolver.daemons()[0].state,
            DaemonState::Down(reset(&engine))
        );
    }
}

#[tokio::test]
async fn silence_is_a_timeout_in_time() {
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{";
    for script in [
        vec![Act::Hang],
        vec![say("HTTP/1.1 2"), Act::Hang],
        vec![say(half), Act::Hang],
    ] {
        let engine = Engine::unix(pings(move |_| script.clone())).await;
        let resolver = engine.resolver();
        let (start, limit) = (Instant::now(), Duration::from_millis(150));
        assert_eq!(lookup_in(&resolver, APP, limit).await, Err(Error::Timeout));
        assert!(start.elapsed() < limit + Duration::from_millis(100));
        assert_eq!(
            resolver.daemons()[0].state,
            DaemonState::Down(Error::Timeout)
        );
        until(|| resolver.daemons()[0].in_flight == 0).await;
    }
}

#[tokio::test]
async fn a_daemon_that_is_not_there_is_a_posix_error() {
    let nowhere = Endpoint::parse("/tmp/no/such/docker.sock").unwrap();
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = unused.local_addr().unwrap().port();
    drop(unused);
    let refused = Endpoint::parse(&format!("tcp://127.0.0.1:{port}")).unwrap();
    let unknown = Endpoint::parse("tcp://no-such-host.invalid:1").unwrap();
    let cases = [
        (nowhere, Errno::Enoent),
        (refused, Errno::Econnrefused),
        (unknown, Errno::Nxdomain),
    ];
    for (docker_host, errno) in cases {
        let expected = connect(&docker_host, errno);
        let resolver = Resolver::new(Settings {
            docker_host,
            ..Settings::default()
        });
        assert_eq!(lookup(&resolver, APP).await, Err(expected.clone()));
        assert_eq!(resolver.daemons()[0].state, DaemonState::Down(expected));
    }
}

#[tokio::test]
async fn a_host_name_is_resolved_and_each_of_its_addresses_tried() {
    // "localhost" is ::1 first on many machines, and nobody listens there.
    let engine = Engine::tcp(world(vec![app()])).await;
    let resolver = engine.resolver_with(|settings| {
        let text = format!("tcp://localhost:{}", engine.port());
        settings.docker_host = Endpoint::parse(&text).unwrap();
    });
    let found = lookup(&resolver, APP).await.unwrap();
    assert_eq!(found.address.to_string(), "127.0.0.9");
}
