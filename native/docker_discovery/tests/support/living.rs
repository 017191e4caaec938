//! A daemon whose containers change, and that tells so in its events.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use docker_discovery::{DaemonInfo, Family, Found, NodeName, Resolver, Settings, WatchState};
use serde_json::{Value, json};

use super::{Act, Asked, Engine, Feed, answer, say, until, world};

/// The daemon, and what happens in it.
#[derive(Clone)]
pub struct Living {
    pub engine: Engine,
    pub events: Feed,
    containers: Arc<Mutex<Vec<Value>>>,
    pub dead: Arc<AtomicBool>,
}

/// The beginning of an answer without end.
pub const STREAM: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n";

impl Living {
    pub async fn new(containers: Vec<Value>) -> Self {
        Self::with(containers, |_| None).await
    }

    /// `script` answers before the daemon does.
    pub async fn with(
        containers: Vec<Value>,
        script: impl Fn(&Asked) -> Option<Vec<Act>> + Send + Sync + 'static,
    ) -> Self {
        let containers = Arc::new(Mutex::new(containers));
        let (events, dead) = (Feed::default(), Arc::new(AtomicBool::new(false)));
        let (all, feed, is_dead) = (Arc::clone(&containers), events.clone(), Arc::clone(&dead));
        let engine = Engine::unix(move |asked| {
            if is_dead.load(SeqCst) {
                return vec![Act::Close];
            }
            if let Some(acts) = script(asked) {
                return acts;
            }
            if asked.path.contains("/events?") {
                return vec![say(STREAM), Act::Feed(feed.clone())];
            }
            let containers = all.lock().unwrap().clone();
            world(containers)(asked)
        })
        .await;
        Self {
            engine,
            events,
            containers,
            dead,
        }
    }

    /// A resolver that follows it.
    pub fn resolver(&self) -> Arc<Resolver> {
        self.resolver_with(|_| {})
    }

    pub fn resolver_with(&self, change: impl FnOnce(&mut Settings)) -> Arc<Resolver> {
        Arc::new(self.engine.resolver_with(|settings| {
            settings.watch = Some(Duration::from_secs(60));
            change(settings);
        }))
    }

    /// Changes its containers.
    pub fn change(&self, change: impl FnOnce(&mut Vec<Value>)) {
        change(&mut self.containers.lock().unwrap());
    }

    /// Changes the first container.
    pub fn change_first(&self, change: impl FnOnce(&mut Value)) {
        self.change(|all| change(&mut all[0]));
    }

    /// Tells that something happened to a container.
    pub fn happened(&self, action: &str, container: &Value) {
        self.events.say(event(action, container));
    }

    /// How often this container was inspected, by whatever name.
    pub fn inspects(&self) -> usize {
        let asked = self.engine.asked();
        let inspect = |one: &&Asked| one.path.ends_with("/json");
        asked.iter().filter(inspect).count()
    }
}

/// A line of the stream of events.
pub fn event(action: &str, container: &Value) -> String {
    let name = container["Name"].as_str().unwrap().trim_start_matches('/');
    let attributes = json!({"name": name, "image": "x"});
    let actor = json!({"ID": container["Id"], "Attributes": attributes});
    let event = json!({"Type": "container", "Action": action, "Actor": actor, "timeNano": 7});
    format!("{event}\n")
}

/// What memory says of a node.
pub fn peek(resolver: &Resolver, name: &str) -> Option<Found> {
    let node = NodeName::parse(name.as_bytes()).unwrap();
    resolver.peek(&node, &node.scheme(), Family::Inet)
}

/// Asks for a node until it is known.
pub async fn until_known(resolver: &Arc<Resolver>, name: &str) -> Found {
    super::lookup(resolver, name).await.unwrap();
    until(|| peek(resolver, name).is_some()).await;
    peek(resolver, name).unwrap()
}

/// What is known of the resolver's own daemon.
pub fn own(resolver: &Resolver) -> DaemonInfo {
    resolver.daemons().remove(0)
}

pub async fn until_following(resolver: &Resolver) {
    until(|| own(resolver).watch == WatchState::Following).await;
}

pub fn address(ip: &str) -> IpAddr {
    ip.parse().unwrap()
}

/// Gives a container another address.
pub fn move_to(container: &mut Value, ip: &str) {
    container["NetworkSettings"]["Networks"]["bridge"] = super::network(ip, 8);
}
