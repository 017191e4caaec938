//! A container's networks and published ports, as an inspect shows them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::Deserialize;

use super::decode::{self, or_default};

/// `NetworkSettings`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct NetworkSettings {
    #[serde(deserialize_with = "or_default")]
    ports: BTreeMap<String, Option<Vec<Binding>>>,
    /// By name, and so in an order that does not change.
    #[serde(deserialize_with = "or_default")]
    networks: BTreeMap<String, Option<Network>>,
}

/// A port of the host that leads to one of the container's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Binding {
    #[serde(deserialize_with = "or_default")]
    host_ip: String,
    #[serde(deserialize_with = "or_default")]
    host_port: String,
}

/// A container's place in one network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Network {
    #[serde(rename = "IPAddress", deserialize_with = "or_default")]
    ipv4: String,
    #[serde(rename = "IPPrefixLen", deserialize_with = "or_default")]
    ipv4_prefix: u8,
    #[serde(rename = "Gateway", deserialize_with = "or_default")]
    ipv4_gateway: String,
    #[serde(rename = "GlobalIPv6Address", deserialize_with = "or_default")]
    ipv6: String,
    #[serde(rename = "GlobalIPv6PrefixLen", deserialize_with = "or_default")]
    ipv6_prefix: u8,
    #[serde(rename = "IPv6Gateway", deserialize_with = "or_default")]
    ipv6_gateway: String,
    #[serde(rename = "Aliases", deserialize_with = "or_default")]
    aliases: Vec<String>,
    #[serde(rename = "DNSNames", deserialize_with = "or_default")]
    dns_names: Vec<String>,
}

impl NetworkSettings {
    /// What this port of the container is published as: the host's address,
    /// none if the engine names none, and port.
    pub(crate) fn bindings(&self, port: u16) -> impl Iterator<Item = (Option<IpAddr>, u16)> {
        self.ports
            .iter()
            .filter(move |(key, _)| decode::tcp_port(key) == Some(port))
            .flat_map(|(_, bindings)| bindings.iter().flatten())
            .filter_map(Binding::target)
    }

    /// Whether Docker lists no ports at all, not even unpublished ones.
    pub(crate) fn has_no_ports(&self) -> bool {
        self.ports.is_empty()
    }

    /// The networks, sorted by name.
    pub(crate) fn networks(&self) -> impl Iterator<Item = (&str, &Network)> {
        let networks = self.networks.iter();
        networks.filter_map(|(name, network)| Some((name.as_str(), network.as_ref()?)))
    }

    /// Whether the container is on this network.
    pub(crate) fn is_on(&self, name: &str) -> bool {
        self.networks.contains_key(name)
    }

    /// Whether it has this alias in a network.
    pub(crate) fn has_alias(&self, name: &str) -> bool {
        self.aliases().any(|alias| alias == name)
    }

    /// Its aliases in all networks.
    pub(crate) fn aliases(&self) -> impl Iterator<Item = &str> {
        self.networks()
            .flat_map(|(_, network)| network.aliases.iter().chain(&network.dns_names))
            .map(String::as_str)
    }

    /// Where it is in each network.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.networks()
            .map(|(name, network)| (name, network.ipv4.as_str(), network.ipv6.as_str()))
    }

    /// The published TCP ports: the container's, and the host's for it.
    pub(crate) fn published(&self) -> BTreeSet<(u16, u16)> {
        let tcp = |(key, bindings): (&String, _)| Some((decode::tcp_port(key)?, bindings));
        let ports = self.ports.iter().filter_map(tcp);
        ports
            .flat_map(|(port, bindings): (u16, &Option<Vec<Binding>>)| {
                let targets = bindings.iter().flatten().filter_map(Binding::target);
                targets.map(move |(_, host_port)| (port, host_port))
            })
            .collect()
    }

    /// About how much memory it takes, in bytes.
    pub(crate) fn weight(&self) -> usize {
        let binding = |one: &Binding| decode::weight(&one.host_ip) + decode::weight(&one.host_port);
        let ports = self.ports.iter().map(|(key, bindings)| {
            decode::weight(key) + bindings.iter().flatten().map(binding).sum::<usize>()
        });
        let networks = self.networks.iter().map(|(name, network)| {
            decode::weight(name) + network.as_ref().map_or(0, Network::weight)
        });
        ports.sum::<usize>() + networks.sum::<usize>()
    }

    /// The names of the networks, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        self.networks.keys().cloned().collect()
    }
}

impl Binding {
    fn target(&self) -> Option<(Option<IpAddr>, u16)> {
        let port = decode::port(&self.host_port)?;
        match self.host_ip.as_str() {
            "" => Some((None, port)),
            // An IPv4-mapped address is of the IPv4 host that it leads to.
            ip => Some((Some(ip.parse::<IpAddr>().ok()?.to_canonical()), port)),
        }
    }
}

impl Network {
    fn weight(&self) -> usize {
        let addresses = [
            &self.ipv4,
            &self.ipv4_gateway,
            &self.ipv6,
            &self.ipv6_gateway,
        ];
        let texts = addresses
            .into_iter()
            .chain(&self.aliases)
            .chain(&self.dns_names);
        texts.map(|text| decode::weight(text)).sum()
    }

    /// Its address and prefix length in the family.
    pub(crate) fn address(&self, ipv4: bool) -> Option<(IpAddr, u8)> {
        let (address, prefix) = match ipv4 {
            true => (&self.ipv4, self.ipv4_prefix),
            false => (&self.ipv6, self.ipv6_prefix),
        };
        parse_ip(address, ipv4).map(|ip| (ip, prefix))
    }

    /// The address of its gateway, which is the Docker host's.
    pub(crate) fn gateway(&self, ipv4: bool) -> Option<IpAddr> {
        let gateway = if ipv4 {
            &self.ipv4_gateway
        } else {
            &self.ipv6_gateway
        };
        parse_ip(gateway, ipv4)
    }
}

fn parse_ip(text: &str, ipv4: bool) -> Option<IpAddr> {
    let ip = text.parse::<IpAddr>().ok()?.to_canonical();
    (ip.is_ipv4() == ipv4 && !ip.is_unspecified()).then_some(ip)
}
