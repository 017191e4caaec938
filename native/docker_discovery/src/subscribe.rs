//! Who came, who went: what subscribers are told of a daemon's containers.

use std::sync::Arc;

use crate::docker::container::Container;
use crate::error::Error;
use crate::found::ContainerInfo;
use crate::host_addr::HostAddr;
use crate::index::News;
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

impl Resolver {
    /// Tells what happens at the daemon of that host, or at the local one, for
    /// as long as `tell` says that it wants more. It is called on the runtime's
    /// thread and must not wait. Needs a runtime; [`Error::Cancelled`] where
    /// the settings forbid to watch.
    pub fn subscribe(
        &self,
        host: Option<&HostAddr>,
        tell: impl Fn(Change) -> bool + Send + 'static,
    ) -> Result<(), Error> {
        if self.settings().watch.is_none() {
            return Err(Error::Cancelled);
        }
        let daemon = match host {
            Some(host) => self.daemons.on_host(host)?,
            None => self.daemons.own(),
        };
        let text = daemon.link.spot().text.clone();
        let tell = Box::new(move |news: &News| tell(change(news, &text)));
        daemon.known.subscribe(tell);
        daemon.watch.wake();
        Ok(())
    }
}

fn change(news: &News, daemon: &str) -> Change {
    let member = |container: &Arc<Container>| member(container, daemon);
    match news {
        News::Snapshot(all) => Change::Snapshot(all.iter().map(member).collect()),
        News::Up(one) => Change::Up(member(one)),
        News::Down(one) => Change::Down(member(one)),
        News::Changed(one) => Change::Changed(member(one)),
    }
}

fn member(container: &Container, daemon: &str) -> Member {
    let label = |key: &str| container.config.labels.get(key).map(str::to_owned);
    let address = |(name, ipv4, ipv6): (&str, &str, &str)| {
        let address = if ipv4.is_empty() { ipv6 } else { ipv4 };
        (name.to_owned(), address.to_owned())
    };
    let networks = &container.network_settings;
    Member {
        container: ContainerInfo {
            id: container.id.clone(),
            name: container.name.clone(),
            hostname: container.config.hostname.clone(),
            daemon: daemon.to_owned(),
        },
        nodes: named_nodes(container),
        project: label("com.docker.compose.project"),
        service: label("com.docker.compose.service"),
        health: container.health(),
        networks: networks.addresses().map(address).collect(),
        ports: networks.published().into_iter().collect(),
    }
}
