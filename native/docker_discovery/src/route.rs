//! From a container to an address and a port: the rules of which of its many
//! addresses leads there from here. No IO, and the same answer every time.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::docker::container::Container;
use crate::docker::decode;
use crate::error::Error;
use crate::found::{DistPort, Family, Via};
use crate::interfaces::View;
use crate::settings::{AddressMode, Settings};

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

/// The distribution port of the node `name` inside its container: as its
/// labels, its environment or our settings say, first that is known.
pub(crate) fn dist_port(
    container: &Container,
    name: &str,
    on_host: bool,
    settings: &Settings,
) -> DistPort {
    let labels = &container.config.labels;
    let label = |key: &str| labels.get(key).and_then(decode::port);
    let set = |port: &u16| *port != 0;
    let on_host_port = on_host.then_some(settings.on_host_port);
    label(&format!("epmd-docker.port.{name}"))
        .or_else(|| label("epmd-docker.port"))
        .or(container.config.dist_port.0)
        .or(settings.remote_port.filter(set))
        .or(on_host_port.filter(set))
        .map_or(DistPort::Epmd, DistPort::Known)
}

/// The way to `port` of a running container.
pub(crate) fn route(
    container: &Container,
    port: DistPort,
    vantage: &Vantage<'_>,
) -> Result<Way, Error> {
    if container.is_on_host_network() {
        return vantage.host_network(container, port);
    }
    let own = || vantage.own_address(container, port);
    let published = || vantage.published(container, port);
    match vantage.settings.address {
        AddressMode::Container => own()?.ok_or_else(|| no_network(container)),
        AddressMode::Published => published(),
        AddressMode::Auto if vantage.on_host => published(),
        AddressMode::Auto => match own()? {
            Some(way) => Ok(way),
            None => published().map_err(|error| vantage.explained(error, container)),
        },
    }
}

impl Vantage<'_> {
    fn ipv4(&self) -> bool {
        self.family == Family::Inet
    }

    fn loopback(&self) -> IpAddr {
        match self.family {
            Family::Inet => Ipv4Addr::LOCALHOST.into(),
            Family::Inet6 => Ipv6Addr::LOCALHOST.into(),
        }
    }

    /// Whether the host's address is the one by which the node name or the
    /// endpoint knows it, and not our loopback or a gateway.
    fn is_elsewhere(&self) -> bool {
        self.on_host || !self.local
    }

    fn no_host_address(&self) -> Error {
        Error::NoHostAddress(self.host_name.to_owned())
    }

    /// Every Docker host has a 172.17.0.2, so a container's own address counts
    /// only where the daemon runs on this machine. Who asks for nothing else
    /// of a daemon of their own says that it does: it may be behind a proxy
    /// that is itself a container.
    fn own_address_counts(&self) -> bool {
        self.local || (!self.on_host && self.settings.address == AddressMode::Container)
    }

    /// Its address on the first network, by name, that we are on too.
    fn own_address(&self, container: &Container, port: DistPort) -> Result<Option<Way>, Error> {
        if !self.own_address_counts() {
            return Ok(None);
        }
        let settings = &container.network_settings;
        let only = chosen_network(container, self.settings);
        if only.is_some_and(|name| !settings.is_on(name)) {
            return Err(no_network(container));
        }
        let found = settings
            .networks()
            .filter(|(name, _)| only.is_none_or(|only| only == *name))
            .filter_map(|(name, network)| Some((name, network.address(self.ipv4())?)))
            .find(|(_, (ip, prefix))| self.view.shares(*ip, *prefix));
        Ok(found.map(|(name, (address, _))| Way {
            address,
            port,
            via: Via::Container {
                network: name.to_owned(),
            },
        }))
    }

    /// The published port: one on all addresses of the host or on the address
    /// that we know it by, then one on another address, then on its loopback.
    fn published(&self, container: &Container, port: DistPort) -> Result<Way, Error> {
        // epmd would tell a port inside the container, not the published one.
        let DistPort::Known(port) = port else {
            return Err(Error::NotPublished(EPMD));
        };
        let host = self.daemon_host(container);
        let (mut on_loopback, mut on_all) = (false, false);
        let mut best: Option<(u8, IpAddr, u16)> = None;
        for (ip, host_port) in container.network_settings.bindings(port) {
            if ip.is_some_and(|ip| ip.is_ipv4() != self.ipv4()) {
                continue;
            }
            let target = match ip {
                Some(ip) if Some(ip) == host => Some((0, ip)),
                Some(ip) if ip.is_loopback() => {
                    on_loopback = true;
                    (self.local && self.view.on_host).then_some((2, ip))
                }
                Some(ip) if !ip.is_unspecified() => Some((1, ip)),
                _ => {
                    on_all = true;
                    host.map(|host| (0, host))
                }
            };
            let candidate = target.map(|(rank, ip)| (rank, ip, host_port));
            best = [best, candidate].into_iter().flatten().min();
        }
        match best {
            Some((_, address, host_port)) => Ok(Way {
                address,
                port: DistPort::Known(host_port),
                via: Via::Published,
            }),
            None if on_all && self.is_elsewhere() => Err(self.no_host_address()),
            None if on_loopback => Err(Error::LoopbackOnly(port)),
            None => Err(Error::NotPublished(port)),
        }
    }

    /// What "all addresses of the host" means from here.
    fn daemon_host(&self, container: &Container) -> Option<IpAddr> {
        if self.is_elsewhere() {
            return self.host;
        }
        if self.view.on_host {
            return Some(self.loopback());
        }
        // We are in a container beside it: the host is its gateway.
        let mut networks = container.network_settings.networks();
        networks.find_map(|(_, network)| network.gateway(self.ipv4()))
    }

    fn host_network(&self, container: &Container, port: DistPort) -> Result<Way, Error> {
        let address = match self.is_elsewhere() {
            true => self.host.ok_or_else(|| self.no_host_address())?,
            false if self.view.on_host => self.loopback(),
            false => return Err(no_network(container)),
        };
        Ok(Way {
            address,
            port,
            via: Via::HostNetwork,
        })
    }

    /// That a port is not published is not the point where the container has
    /// no address of this family at all.
    fn explained(&self, error: Error, container: &Container) -> Error {
        let mut networks = container.network_settings.networks();
        let reachable = networks.any(|(_, network)| network.address(self.ipv4()).is_some());
        match error {
            Error::NotPublished(_) if self.local && !reachable => no_network(container),
            error => error,
        }
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
