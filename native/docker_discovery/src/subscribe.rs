//! Who came, who went: what subscribers are told of a daemon's containers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use crate::docker::container::Container;
use crate::docker::labels::{Label, PROJECT, SERVICE};
use crate::error::Error;
use crate::found::ContainerInfo;
use crate::host_addr::HostAddr;
use crate::index::News;
use crate::known::Subscriber;
use crate::names::named_nodes;
use crate::resolve::Resolver;

/// What a subscriber is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// All containers that run; first of all, and once.
    Snapshot(Vec<Member>),
    /// One that runs now.
    Up(Member),
    /// One that does not run any more, as it was.
    Down(Member),
    /// One that can be reached in another way now or goes by another name.
    Changed(Member),
}

/// What a container's health check says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Not yet anything.
    Starting,
    /// That all is well.
    Healthy,
    /// That it is not.
    Unhealthy,
}

/// A container, as subscribers see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Which one it is.
    pub container: ContainerInfo,
    /// The first parts of the names of its nodes, as far as labels tell.
    pub nodes: Vec<String>,
    /// Its Compose project.
    pub project: Option<String>,
    /// Its Compose service.
    pub service: Option<String>,
    /// What its health check says, if it has one.
    pub health: Option<Health>,
    /// Its networks, and its address in each.
    pub networks: Vec<(String, String)>,
    /// Its published TCP ports, and the host's for each.
    pub ports: Vec<(u16, u16)>,
}

/// Ends when it is dropped.
#[must_use]
pub struct Subscription(Arc<Subscriber>);

impl Subscription {
    /// Nothing is told after this, unless it is on its way.
    pub fn end(&self) {
        self.0.end();
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.end();
    }
}

impl Resolver {
    /// Tells what happens at the daemon of that host, or at the local one, to
    /// containers that have all these labels, keys and values; for as long as
    /// `tell` says that it wants more. It is called on the runtime's
    /// thread and must not wait. Needs a runtime; [`Error::Cancelled`] where
    /// the settings forbid to watch.
    pub fn subscribe(
        &self,
        host: Option<&HostAddr>,
        labels: &[(String, String)],
        tell: impl Fn(Change) -> bool + Send + Sync + 'static,
    ) -> Result<Subscription, Error> {
        if self.settings().watch.is_none() {
            return Err(Error::Cancelled);
        }
        let daemon = match host {
            Some(host) => self.daemons.on_host(host)?,
            None => self.daemons.own(),
        };
        let labels = labels.iter().map(|(key, value)| Label::new(key, value));
        let wanted = Wanted {
            labels: labels.collect(),
            daemon: daemon.link.spot().text.clone(),
        };
        let tell = Box::new(move |news: &News| wanted.change(news).is_none_or(&tell));
        let subscriber = daemon.known.subscribe(tell);
        daemon.watch.wake();
        Ok(Subscription(subscriber))
    }
}

/// What a subscriber wants to hear of.
struct Wanted {
    labels: Vec<Label>,
    daemon: String,
}

impl Wanted {
    fn change(&self, news: &News) -> Option<Change> {
        let mine = |one: &Arc<Container>| self.has(one).then(|| member(one, &self.daemon));
        match news {
            News::Snapshot(all) => Some(Change::Snapshot(all.iter().filter_map(mine).collect())),
            News::Up(one) => mine(one).map(Change::Up),
            News::Down(one) => mine(one).map(Change::Down),
            News::Changed(one) => mine(one).map(Change::Changed),
        }
    }

    fn has(&self, container: &Container) -> bool {
        let own = &container.config.labels;
        self.labels.iter().all(|label| own.has(label))
    }
}

fn member(container: &Container, daemon: &str) -> Member {
    let label = |key: &str| container.config.labels.get(key).map(str::to_owned);
    let address = |(name, ipv4, ipv6): (&str, Option<Ipv4Addr>, Option<Ipv6Addr>)| {
        let address = ipv4.map(IpAddr::from).or(ipv6.map(IpAddr::from));
        let address = address.map(|ip| ip.to_string());
        (name.to_owned(), address.unwrap_or_default())
    };
    let networks = &container.network_settings;
    Member {
        container: ContainerInfo {
            id: container.id.clone(),
            name: container.name.to_string(),
            hostname: container.config.hostname.to_string(),
            daemon: daemon.to_owned(),
        },
        nodes: named_nodes(container),
        project: label(PROJECT),
        service: label(SERVICE),
        health: container.health(),
        networks: networks.addresses().map(address).collect(),
        ports: networks.published().into_iter().collect(),
    }
}
