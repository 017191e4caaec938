//! Which API version a daemon is spoken to in.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::time::Duration;

use docker_discovery::{ApiVersion, Error};
use support::{Act, Engine, answer, app, lookup, ok, pings, pong, world};

const APP: &str = "x@app";

#[tokio::test]
async fn the_version_is_asked_once_per_connection_and_can_be_set() {
    let engine = Engine::unix(world(vec![app()])).await;
    let resolver = engine.resolver();
    for _ in 0..3 {
        lookup(&resolver, APP).await.unwrap();
    }
    assert_eq!(
        (
            engine.count("/_ping"),
            engine.count("/v1.41/containers/app/json")
        ),
        (1, 3)
    );
    let version = Some(ApiVersion::parse("1.30").unwrap());
    let fixed = Engine::unix(|_| ok(&app())).await;
    let resolver = fixed.resolver_with(|settings| settings.api_version = version);
    lookup(&resolver, APP).await.unwrap();
    assert_eq!(
        (
            fixed.count("/_ping"),
            fixed.count("/v1.30/containers/app/json")
        ),
        (0, 1)
    );
    assert_eq!(resolver.daemons()[0].api_version, version);
}

#[tokio::test]
async fn after_a_reconnect_the_version_is_the_one_of_the_first_answer() {
    let engine = Engine::unix(move |asked| match (asked.path.as_str(), asked.connection) {
        ("/_ping", _) => pong(),
        (_, 1) => [ok(&app()), vec![Act::Close]].concat(),
        _ => answer("200 OK", "Api-Version: 1.51\r\n", &app().to_string()),
    })
    .await;
    let resolver = engine.resolver();
    for _ in 0..3 {
        lookup(&resolver, APP).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Nobody was asked for the version again, and the third request is made in the new one.
    assert_eq!((engine.count("/_ping"), engine.connections()), (1, 2));
    assert_eq!(engine.count("/v1.41/containers/app/json"), 2);
    assert_eq!(engine.count("/v1.51/containers/app/json"), 1);
    assert_eq!(resolver.daemons()[0].reconnects, 1);
}

#[tokio::test]
async fn a_400_about_the_version_asks_again_once() {
    let engine = Engine::unix(|asked| match asked.path.as_str() {
        "/_ping" if asked.nth == 1 => answer("200 OK", "Api-Version: 1.51\r\n", "OK"),
        "/_ping" => pong(),
        "/v1.41/containers/app/json" => ok(&app()),
        _ => answer("400 Bad Request", "", "client version 1.51 is too new."),
    })
    .await;
    assert!(lookup(&engine.resolver(), APP).await.is_ok());
    let stubborn = Engine::unix(pings(|_| answer("400 Bad Request", "", "version"))).await;
    let answer = lookup(&stubborn.resolver(), APP).await;
    assert!(
        matches!(answer, Err(Error::Status { code: 400, .. })),
        "{answer:?}"
    );
    assert_eq!(stubborn.count("/app/json"), 1);
}

#[tokio::test]
async fn without_a_version_the_paths_have_none() {
    let pings = [answer("200 OK", "", "OK"), answer("403 Forbidden", "", "")];
    for ping in pings {
        let engine = Engine::unix(move |asked| match asked.path.as_str() {
            "/_ping" => ping.clone(),
            "/containers/app/json" => ok(&app()),
            _ => vec![Act::Close],
        })
        .await;
        assert!(lookup(&engine.resolver(), APP).await.is_ok());
    }
}
