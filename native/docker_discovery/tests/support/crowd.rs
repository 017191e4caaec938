//! A daemon with so many containers that its answers are made beforehand, on a
//! thread of its own: it takes no time of the runtime that is looked at.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::{Act, Asked, Engine, Feed, answer, container, listed, network, not_found, pong, say};

/// The daemon.
pub struct Crowd {
    pub engine: Engine,
    pub events: Feed,
    answers: Arc<Mutex<Answers>>,
}

/// By path, without the version.
#[derive(Default)]
struct Answers {
    inspects: HashMap<String, Vec<u8>>,
    list: Vec<u8>,
    /// Before each inspect.
    pause: Duration,
}

/// Number `n` of a crowd: an ordinary container of Compose's, as to its size.
pub fn one_of_many(n: usize) -> Value {
    let mut one = container(&short_id(n), &format!("project-node-{n}"));
    one["Config"]["Hostname"] = format!("host-{n}").into();
    one["Config"]["Labels"] = json!({
        "com.docker.compose.config-hash": "3d3b1c9e5f7a9d1b3f5c7e9a1d3b5f7c9e1a3d5b7f9c1e3a5d7b9f1c3e5a7d9b",
        "com.docker.compose.container-number": "1",
        "com.docker.compose.project": "project",
        "com.docker.compose.service": format!("service-{n}"),
        "maintainer": "somebody@example.org",
    });
    one["NetworkSettings"]["Ports"]["12345/tcp"] = json!([
        {"HostIp": "0.0.0.0", "HostPort": port_of(n).to_string()},
        {"HostIp": "::", "HostPort": port_of(n).to_string()},
    ]);
    let mut place = network(&ip_of(n).to_string(), 8);
    place["Aliases"] = json!([
        format!("alias-{n}"),
        format!("service-{n}"),
        format!("{n:012x}")
    ]);
    one["NetworkSettings"]["Networks"] = json!({"project_default": place});
    one
}

/// The first digits of its id, as random as Docker's.
pub fn short_id(n: usize) -> String {
    let random = (n as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    format!("{:012x}", random >> 16)
}

/// The address of number `n`, in a subnet that every machine is on.
pub fn ip_of(n: usize) -> Ipv4Addr {
    let [_, a, b, c] = u32::try_from(n + 1).unwrap().to_be_bytes();
    Ipv4Addr::new(127, 64 + a, b, c)
}

pub fn port_of(n: usize) -> u16 {
    u16::try_from(20_000 + n % 40_000).unwrap()
}

impl Crowd {
    /// With numbers 0 to `size`, on a unix socket.
    pub fn new(size: usize) -> Self {
        let containers: Vec<_> = (0..size).map(one_of_many).collect();
        Self::of(&containers, |script| async { Engine::unix(script).await })
    }

    /// With these containers, at that address: a daemon of another host.
    pub fn at(address: SocketAddr, containers: &[Value]) -> Self {
        Self::of(containers, move |script| Engine::tcp_at(address, script))
    }

    fn of<F, E>(containers: &[Value], engine: F) -> Self
    where
        F: FnOnce(Box<dyn Fn(&Asked) -> Vec<Act> + Send + Sync>) -> E + Send + 'static,
        E: Future<Output = Engine>,
    {
        let answers = Arc::new(Mutex::new(Answers::default()));
        let (events, asked) = (Feed::default(), Arc::clone(&answers));
        let feed = events.clone();
        let script = move |one: &Asked| respond(one, &feed, &asked.lock().unwrap());
        let (ready, engine_is) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = { runtime }.enable_all().build().unwrap();
            runtime.block_on(async move {
                ready.send(engine(Box::new(script)).await).unwrap();
                std::future::pending::<()>().await;
            });
        });
        let crowd = Self {
            engine: engine_is.recv().unwrap(),
            events,
            answers,
        };
        containers.iter().for_each(|one| crowd.put(one));
        crowd.list(containers);
        crowd
    }

    /// What an inspect of this container gives from now on.
    pub fn put(&self, container: &Value) {
        let body = bytes(container);
        let name = container["Name"].as_str().unwrap()[1..].to_owned();
        let id = container["Id"].as_str().unwrap();
        let mut answers = self.answers.lock().unwrap();
        for word in [name, id.to_owned(), id[..12].to_owned()] {
            answers.inspects.insert(word, body.clone());
        }
    }

    /// What the list says from now on.
    pub fn list(&self, containers: &[Value]) {
        let list = containers.iter().map(listed_at_length).collect();
        self.answers.lock().unwrap().list = bytes(&list);
    }

    /// Takes its time for each inspect from now on.
    pub fn slow_down(&self, pause: Duration) {
        self.answers.lock().unwrap().pause = pause;
    }

    /// How many bytes the list has.
    pub fn list_size(&self) -> usize {
        self.answers.lock().unwrap().list.len()
    }
}

fn bytes(body: &Value) -> Vec<u8> {
    let mut acts = super::ok(body);
    match acts.remove(0) {
        Act::Say(bytes) => bytes,
        act => panic!("{act:?}"),
    }
}

/// With the fields that Docker sends and nobody here reads.
fn listed_at_length(container: &Value) -> Value {
    let mut one = listed(container);
    let digest = "sha256:4c5b5b1d9a3c7f0e2d4b6a8c0e1f3a5c7e9d1b3f5a7c9e1d3b5f7a9c1e3d5b7f";
    one["Image"] = "registry.example.org/team/project/service:1.2.3".into();
    one["ImageID"] = digest.into();
    one["Command"] = "/usr/bin/tini -- /app/bin/service foreground".into();
    one["Created"] = 1_795_252_955.into();
    one["Status"] = "Up 3 hours (healthy)".into();
    one["HostConfig"] = json!({"NetworkMode": "project_default"});
    one["Mounts"] = json!([{"Type": "volume", "Name": "project_data", "Source": "",
        "Destination": "/var/lib/service", "Driver": "local", "Mode": "z", "RW": true, "Propagation": ""}]);
    one
}

fn respond(asked: &Asked, feed: &Feed, answers: &Answers) -> Vec<Act> {
    let path = asked.path.strip_prefix("/v1.41").unwrap_or(&asked.path);
    let reference = path
        .strip_prefix("/containers/")
        .and_then(|rest| rest.strip_suffix("/json"));
    match (path, reference) {
        ("/_ping", _) => pong(),
        ("/containers/json?all=1", _) => vec![Act::Say(answers.list.clone())],
        (_, Some(word)) => match answers.inspects.get(word) {
            Some(body) if answers.pause.is_zero() => vec![Act::Say(body.clone())],
            Some(body) => vec![Act::Wait(answers.pause), Act::Say(body.clone())],
            None => not_found(),
        },
        _ if path.starts_with("/events?") => {
            vec![say(super::living::STREAM), Act::Feed(feed.clone())]
        }
        _ => answer("403 Forbidden", "", "not in the script"),
    }
}
