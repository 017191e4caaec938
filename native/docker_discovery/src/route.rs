//! From a container to an address and a port: the rules of which of its many
//! addresses leads there from here. No IO, and the same answer every time.

use std::net::IpAddr;

use crate::candidate::{Candidate, Refusal, Verdict};
use crate::docker::container::Container;
use crate::error::Error;
use crate::found::{DistPort, Family, Via};
use crate::interfaces::View;
use crate::settings::{AddressMode, Settings};

mod ways;

pub(crate) use ways::candidates;

/// Where epmd listens.
const EPMD: u16 = 4369;

/// From where, and how, a container is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vantage<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) family: Family,
    pub(crate) view: &'a View,
    /// Whether the node name names the Docker host.
    pub(crate) on_host: bool,
    /// Whether the daemon runs on this machine.
    pub(crate) local: bool,
    /// The address of the daemon's host in the family, where it has one.
    pub(crate) host: Option<IpAddr>,
    /// What that host is called.
    pub(crate) host_name: &'a str,
}

/// The way to a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) address: IpAddr,
    pub(crate) port: DistPort,
    pub(crate) via: Via,
}

/// The way to `port` of a running container.
pub(crate) fn route(
    container: &Container,
    port: DistPort,
    vantage: &Vantage<'_>,
) -> Result<Way, Error> {
    let all = candidates(container, port, vantage);
    let taken = all.iter().find(|one| one.verdict == Verdict::Taken);
    match taken {
        Some(Candidate {
            address: Some(address),
            port,
            via,
            ..
        }) => Ok(Way {
            address: *address,
            port: port.map_or(DistPort::Epmd, DistPort::Known),
            via: via.clone(),
        }),
        _ => Err(vantage.why_none(&all, container, port)),
    }
}

impl Vantage<'_> {
    /// Why there is no way: what speaks against the one that came nearest.
    fn why_none(&self, all: &[Candidate], container: &Container, port: DistPort) -> Error {
        let refused = |refusal| all.iter().any(|one| one.is_refused(refusal));
        if refused(Refusal::NoHostAddress) && self.is_elsewhere() {
            return Error::NoHostAddress(self.host_name.to_owned());
        }
        let only_own = self.settings.address == AddressMode::Container;
        if only_own || refused(Refusal::InContainer) || self.lacks_network(container) {
            return no_network(container);
        }
        match port {
            DistPort::Known(port) if refused(Refusal::Loopback) => Error::LoopbackOnly(port),
            _ if self.has_no_address(container) => no_network(container),
            DistPort::Known(port) => Error::NotPublished(port),
            DistPort::Epmd => Error::NotPublished(EPMD),
        }
    }

    /// That a port is not published is not the point where the container has
    /// no address of this family at all.
    fn has_no_address(&self, container: &Container) -> bool {
        let mut networks = container.network_settings.networks();
        let auto = self.settings.address == AddressMode::Auto && !self.on_host;
        auto && self.local && !networks.any(|(_, network)| network.address(self.ipv4()).is_some())
    }
}

/// The one network whose addresses count, if the settings or the container's
/// label name one.
pub(crate) fn chosen_network<'a>(
    container: &'a Container,
    settings: &'a Settings,
) -> Option<&'a str> {
    let label = container.config.labels.get("epmd-docker.network");
    settings.network.as_deref().or(label)
}

fn no_network(container: &Container) -> Error {
    Error::NoNetwork(container.network_settings.names())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
