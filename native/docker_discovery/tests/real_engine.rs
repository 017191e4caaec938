//! Against the Docker daemon of this machine. Skipped without one, unless
//! `REQUIRE_DOCKER=1` says that there must be one.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;
use std::time::Duration;

use docker_discovery::{DaemonState, Error, Family, NodeName, Resolver, Settings};

const SOCKET: &str = "/var/run/docker.sock";
const SECOND: Duration = Duration::from_secs(4);

fn has_engine() -> bool {
    let there = Path::new(SOCKET).exists();
    let required = std::env::var_os("REQUIRE_DOCKER").is_some_and(|value| value == "1");
    assert!(
        there || !required,
        "REQUIRE_DOCKER=1, but there is no {SOCKET}"
    );
    if !there {
        eprintln!("SKIPPED: there is no {SOCKET}");
    }
    there
}

async fn lookup(resolver: &Resolver, name: &str) -> Result<docker_discovery::Found, Error> {
    let node = NodeName::parse(name.as_bytes()).unwrap();
    resolver.lookup(&node, Family::Inet, SECOND).await
}

#[tokio::test]
async fn an_unknown_container_is_no_such_container_and_the_version_is_known() {
    if !has_engine() {
        return;
    }
    let resolver = Resolver::new(Settings::default());
    for name in ["app@no-such-container-here", "app@0123456789ab"] {
        assert_eq!(lookup(&resolver, name).await, Err(Error::NoSuchContainer));
    }
    let daemon = &resolver.daemons()[0];
    assert_eq!(daemon.state, DaemonState::Up);
    assert!(daemon.api_version.is_some());
}

#[tokio::test]
async fn a_version_that_the_engine_does_not_speak_is_a_status() {
    if !has_engine() {
        return;
    }
    let settings = Settings {
        api_version: Some(docker_discovery::ApiVersion::parse("9.99").unwrap()),
        ..Settings::default()
    };
    let answer = lookup(&Resolver::new(settings), "app@whatever").await;
    assert!(
        matches!(answer, Err(Error::Status { code: 400, .. })),
        "{answer:?}"
    );
}
