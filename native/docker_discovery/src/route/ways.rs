//! The ways to a container, and what speaks against each. No IO.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Vantage, chosen_network};
use crate::candidate::{Candidate, Refusal, Verdict};
use crate::docker::container::Container;
use crate::found::{DistPort, Family, Via};
use crate::settings::AddressMode;

/// All ways to `port` of a running container, the one to take among them.
pub(crate) fn candidates(
    container: &Container,
    port: DistPort,
    vantage: &Vantage<'_>,
) -> Vec<Candidate> {
    let mut all = match container.is_on_host_network() {
        true => vec![vantage.host_network(port)],
        false => vantage.own_addresses(container, port),
    };
    if !container.is_on_host_network() {
        vantage.published(container, port, &mut all);
    }
    Candidate::take_best(&mut all);
    all
}

impl Vantage<'_> {
    pub(super) fn ipv4(&self) -> bool {
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
    pub(super) fn is_elsewhere(&self) -> bool {
        self.on_host || !self.local
    }

    /// What speaks against all of a container's own addresses. Every Docker
    /// host has a 172.17.0.2, so they count only where the daemon runs on this
    /// machine. Who asks for nothing else of a daemon of their own says that
    /// it does: it may be behind a proxy that is itself a container.
    fn own_refused(&self) -> Option<Refusal> {
        let only = self.settings.address;
        match only {
            AddressMode::Published => Some(Refusal::NotWanted),
            AddressMode::Auto if self.on_host => Some(Refusal::NameOfHost),
            _ if self.local || (!self.on_host && only == AddressMode::Container) => None,
            _ => Some(Refusal::OtherHost),
        }
    }

    /// Whether the one network that counts is none of the container's.
    pub(super) fn lacks_network(&self, container: &Container) -> bool {
        let networks = &container.network_settings;
        self.own_refused().is_none()
            && chosen_network(container, self.settings).is_some_and(|name| !networks.is_on(name))
    }

    /// Its address on each network, by name: good where we are on it too.
    fn own_addresses(&self, container: &Container, port: DistPort) -> Vec<Candidate> {
        let refused = self.own_refused();
        let only = chosen_network(container, self.settings);
        let networks = container.network_settings.networks();
        let candidates = networks.filter_map(|(name, network)| {
            let ours = network.address(self.ipv4());
            let (address, prefix) = ours.or_else(|| network.address(!self.ipv4()))?;
            let refused = refused
                .or_else(|| {
                    only.filter(|only| *only != name)
                        .map(|_| Refusal::OtherNetwork)
                })
                .or_else(|| ours.is_none().then_some(Refusal::OtherFamily))
                .or_else(|| (!self.view.shares(address, prefix)).then_some(Refusal::NotShared));
            let network = name.to_owned();
            let via = Via::Container { network };
            let verdict = refused.map_or(Verdict::Spare(0), Verdict::Refused);
            Some(Candidate::new(Some(address), known(port), via, verdict))
        });
        candidates.collect()
    }

    /// The published port: one on all addresses of the host or on the address
    /// that we know it by, then one on another address, then on its loopback.
    fn published(&self, container: &Container, port: DistPort, all: &mut Vec<Candidate>) {
        let none = |refusal| {
            let verdict = Verdict::Refused(refusal);
            Candidate::new(None, None, Via::Published, verdict)
        };
        // epmd would tell a port inside the container, not the published one.
        let DistPort::Known(port) = port else {
            all.push(none(Refusal::PortUnknown));
            return;
        };
        let before = match self.settings.address {
            AddressMode::Container => Some(Refusal::NotWanted),
            _ => (self.lacks_network(container)).then_some(Refusal::OtherNetwork),
        };
        let host = self.daemon_host(container);
        let bindings = container.network_settings.bindings(port);
        let first = all.len();
        all.extend(bindings.map(|(ip, host_port)| {
            let (address, verdict) = self.binding(ip, host);
            let verdict = before.map_or(verdict, Verdict::Refused);
            Candidate::new(address, Some(host_port), Via::Published, verdict)
        }));
        if all.len() == first {
            all.push(none(before.unwrap_or(Refusal::NotPublished)));
        }
    }

    /// What one binding of a port gives: an address, and how near that is.
    fn binding(&self, ip: Option<IpAddr>, host: Option<IpAddr>) -> (Option<IpAddr>, Verdict) {
        match ip {
            Some(ip) if ip.is_ipv4() != self.ipv4() => {
                (Some(ip), Verdict::Refused(Refusal::OtherFamily))
            }
            Some(ip) if Some(ip) == host => (Some(ip), Verdict::Spare(1)),
            Some(ip) if ip.is_loopback() => match self.local && self.view.on_host {
                true => (Some(ip), Verdict::Spare(3)),
                false => (Some(ip), Verdict::Refused(Refusal::Loopback)),
            },
            Some(ip) if !ip.is_unspecified() => (Some(ip), Verdict::Spare(2)),
            _ if host.is_some() => (host, Verdict::Spare(1)),
            _ => (None, Verdict::Refused(Refusal::NoHostAddress)),
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

    fn host_network(&self, port: DistPort) -> Candidate {
        let (address, refused) = match self.is_elsewhere() {
            true => (self.host, Refusal::NoHostAddress),
            false if self.view.on_host => (Some(self.loopback()), Refusal::InContainer),
            false => (None, Refusal::InContainer),
        };
        let verdict = address.map_or(Verdict::Refused(refused), |_| Verdict::Spare(0));
        Candidate::new(address, known(port), Via::HostNetwork, verdict)
    }
}

/// The port, unless only epmd knows it.
fn known(port: DistPort) -> Option<u16> {
    match port {
        DistPort::Known(port) => Some(port),
        DistPort::Epmd => None,
    }
}
