//! The nodes that a daemon knows, as epmd would list those of a host.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::breaker;
use crate::dist_port::dist_port;
use crate::docker::client::Daemon;
use crate::docker::container::Container;
use crate::docker::find::Wanted;
use crate::docker::search::all_running;
use crate::error::Error;
use crate::found::{DistPort, Family};
use crate::host_addr::HostAddr;
use crate::look::{Port, Target};
use crate::resolve::{Resolver, deadline};

/// Labels that say how the nodes of a container are called, `name` or
/// `name@host`, with blanks or commas between several.
const NAME_LABELS: [&str; 2] = ["epmd-docker.node", "epmd-docker.name"];
/// The same with the port of each.
const PORT_LABEL: &str = "epmd-docker.port.";
/// How much of its id a container is called by.
const SHORT_ID: usize = 12;

impl Resolver {
    /// The nodes in the running containers of that host, or of the local
    /// daemon: their names and ports, sorted. A node counts if a label names
    /// it or if its distribution port is published, and if it can be reached.
    pub async fn names(
        &self,
        host: Option<&HostAddr>,
        family: Family,
        at_most: Duration,
    ) -> Result<Vec<(String, u16)>, Error> {
        self.daemons.locate_own().await;
        let daemon = match host {
            Some(host) => self.daemons.on_host(host)?,
            // In a container its own host name is not the Docker host's.
            None if !self.lookout.is_on_host() => return Ok(Vec::new()),
            None => self.daemons.own(),
        };
        let all = breaker::wait(&daemon, deadline(at_most), running(&daemon)).await?;
        let mut names = BTreeSet::new();
        for container in all {
            let mut named = named_nodes(&container);
            named.sort_unstable();
            named.dedup();
            if named.is_empty() {
                let id = container.id.as_str()[..SHORT_ID].to_owned();
                names.extend(self.published(&container, family).map(|port| (id, port)));
            }
            for name in named {
                let port = self.port_of(&daemon, &container, &name, host, family);
                names.extend(port.map(|port| (name, port)));
            }
        }
        Ok(names.into_iter().collect())
    }

    /// The host's port for a node that is called by its container's id.
    fn published(&self, container: &Container, family: Family) -> Option<u16> {
        let id = &container.id.as_str()[..SHORT_ID];
        let (DistPort::Known(port), _) = dist_port(container, id, true, self.settings()) else {
            return None;
        };
        let of_family =
            |ip: Option<IpAddr>| ip.is_none_or(|ip| ip.is_ipv4() == (family == Family::Inet));
        let mut bindings = container.network_settings.bindings(port);
        bindings
            .find(|(ip, _)| of_family(*ip))
            .map(|(_, port)| port)
    }

    fn port_of(
        &self,
        daemon: &Arc<Daemon>,
        container: &Arc<Container>,
        name: &str,
        host: Option<&HostAddr>,
        family: Family,
    ) -> Option<u16> {
        let target = Target {
            daemon: Arc::clone(daemon),
            wanted: Wanted::Id(&container.id),
            host,
            port: Port::Of(name),
            family,
        };
        let known = |_: &Wanted<'_>| Some(Arc::clone(container));
        let view = |max_age| self.lookout.view(max_age);
        let found = self.lookout.recall(&target, known, view)?;
        match found.port {
            DistPort::Known(port) => Some(port),
            DistPort::Epmd => None,
        }
    }
}

/// How its labels call its nodes: the first parts of their names.
pub(crate) fn named_nodes(container: &Container) -> Vec<String> {
    let labels = &container.config.labels;
    let named = NAME_LABELS.iter().filter_map(|key| labels.get(key));
    let named = named.flat_map(|names| names.split([' ', ',']));
    let named = named.chain(labels.with_prefix(PORT_LABEL));
    let named = named.map(|name| name.split('@').next().unwrap_or(name));
    let named = named.filter(|name| !name.is_empty());
    named.map(str::to_owned).collect()
}

/// All that run: from memory if that knows all, else one by one.
async fn running(daemon: &Arc<Daemon>) -> Result<Vec<Arc<Container>>, Error> {
    match daemon.known.all_running() {
        Some(known) => Ok(known),
        None => all_running(daemon).await,
    }
}
