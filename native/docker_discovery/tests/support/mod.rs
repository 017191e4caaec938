//! A Docker daemon that says what a test tells it to say, byte for byte.

#![allow(dead_code, unused_imports, clippy::unwrap_used, clippy::panic)]

pub mod crowd;
mod engine;
pub mod living;
pub mod storm;
pub mod tls;

use std::time::Duration;

use docker_discovery::{Error, Family, Found, NodeName, Resolver};
use serde_json::{Value, json};

pub use engine::{Act, Asked, Engine, Feed};

/// A whole answer.
pub fn answer(status: &str, headers: &str, body: &str) -> Vec<Act> {
    let length = body.len();
    let text = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
    vec![Act::Say(text.into_bytes())]
}

/// A good answer to a ping, of API version 1.41.
pub fn pong() -> Vec<Act> {
    answer("200 OK", "Api-Version: 1.41\r\n", "OK")
}

/// An answer with JSON in it.
pub fn ok(body: &Value) -> Vec<Act> {
    answer(
        "200 OK",
        "Content-Type: application/json\r\n",
        &body.to_string(),
    )
}

/// Docker's answer for what is not there.
pub fn not_found() -> Vec<Act> {
    let body = r#"{"message":"No such container: x"}"#;
    answer("404 Not Found", "Content-Type: application/json\r\n", body)
}

/// Raw bytes.
pub fn say(text: impl Into<String>) -> Act {
    Act::Say(text.into().into_bytes())
}

/// A 64-digit id that begins so.
pub fn id(start: &str) -> String {
    format!("{start:0<64}")
}

/// A running container with a port published on all addresses and, on network
/// `bridge`, an address in a subnet that every machine is on: 127.0.0.0/8.
pub fn container(start: &str, name: &str) -> Value {
    json!({
        "Id": id(start),
        "Name": format!("/{name}"),
        "State": {"Status": "running", "Running": true, "Paused": false},
        "Config": {"Hostname": start, "Env": ["COOKIE=secret"], "Labels": {}, "ExposedPorts": null},
        "HostConfig": {"NetworkMode": "default", "PortBindings": {}, "PublishAllPorts": false},
        "NetworkSettings": {
            "Ports": {"12345/tcp": [{"HostIp": "0.0.0.0", "HostPort": "32768"}]},
            "Networks": {"bridge": network("127.0.0.9", 8)},
        },
    })
}

/// A place in a network.
pub fn network(ip: &str, prefix: u8) -> Value {
    json!({"IPAddress": ip, "IPPrefixLen": prefix, "Gateway": "127.0.0.1", "Aliases": null})
}

/// A container as the list shows it.
pub fn listed(container: &Value) -> Value {
    let settings = &container["NetworkSettings"];
    json!({
        "Id": container["Id"],
        "Names": [container["Name"]],
        "State": container["State"]["Status"],
        "Labels": container["Config"]["Labels"],
        "Ports": settings["Ports"].as_object().map(listed_ports),
        "NetworkSettings": {"Networks": settings["Networks"]},
    })
}

fn listed_ports(ports: &serde_json::Map<String, Value>) -> Vec<Value> {
    let mut listed = Vec::new();
    for (key, bindings) in ports {
        let (port, protocol) = key.split_once('/').unwrap();
        let port: u16 = port.parse().unwrap();
        for binding in bindings.as_array().into_iter().flatten() {
            let public: u16 = binding["HostPort"].as_str().unwrap().parse().unwrap();
            listed.push(json!({"IP": binding["HostIp"], "PrivatePort": port,
                "PublicPort": public, "Type": protocol}));
        }
    }
    listed
}

/// A daemon's whole behaviour with these containers, as Docker 20.10 has it.
pub fn world(containers: Vec<Value>) -> impl Fn(&Asked) -> Vec<Act> + Send + Sync + 'static {
    move |asked| {
        let path = asked.path.strip_prefix("/v1.41").unwrap_or(&asked.path);
        match path {
            "/_ping" => pong(),
            "/containers/json?all=1" => ok(&containers.iter().map(listed).collect()),
            _ => inspect(&containers, path),
        }
    }
}

fn inspect(containers: &[Value], path: &str) -> Vec<Act> {
    let reference = path
        .strip_prefix("/containers/")
        .and_then(|rest| rest.strip_suffix("/json"));
    let reference = reference.unwrap();
    let name = Value::from(format!("/{reference}"));
    if let Some(named) = containers.iter().find(|one| one["Name"] == name) {
        return ok(named);
    }
    let of_id = |one: &&Value| one["Id"].as_str().unwrap().starts_with(reference);
    let found: Vec<_> = containers.iter().filter(of_id).collect();
    match found.as_slice() {
        [] => not_found(),
        [one] => ok(one),
        _ => answer(
            "500 Internal Server Error",
            "",
            &json!({"message": format!("Multiple IDs found with provided prefix: {reference}")})
                .to_string(),
        ),
    }
}

/// A lookup with IPv4 and a limit that no good test needs.
pub async fn lookup(resolver: &Resolver, name: &str) -> Result<Found, Error> {
    lookup_in(resolver, name, Duration::from_secs(5)).await
}

/// The same with a limit.
pub async fn lookup_in(resolver: &Resolver, name: &str, time: Duration) -> Result<Found, Error> {
    let node = NodeName::parse(name.as_bytes()).unwrap();
    resolver.lookup(&node, Family::Inet, time).await
}

/// A container called `app`.
pub fn app() -> Value {
    container("aaaaaaaaaaaa", "app")
}

/// Pings well, and does this about everything else.
pub fn pings(
    then: impl Fn(&Asked) -> Vec<Act> + Send + Sync + 'static,
) -> impl Fn(&Asked) -> Vec<Act> + Send + Sync + 'static {
    move |asked| match asked.path.as_str() {
        "/_ping" => pong(),
        _ => then(asked),
    }
}

/// Waits for a condition that must come true soon.
pub async fn until(condition: impl Fn() -> bool) {
    for _ in 0..5000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("it did not come true");
}
