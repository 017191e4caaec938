//! A container's networks and published ports, as an inspect shows them.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Deserializer};

use super::compact::{self, Sorted, Texts};
use super::decode::{self, or_default};

/// `NetworkSettings`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct NetworkSettings {
    #[serde(deserialize_with = "or_default")]
    ports: Ports,
    /// By name, and so in an order that does not change.
    #[serde(deserialize_with = "or_default")]
    networks: Sorted<Option<Network>>,
}

/// The TCP ports that are published; none where no port is listed at all,
/// published or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Ports(Option<Box<[Binding]>>);

/// A port of the host that leads to one of the container's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Binding {
    /// The container's.
    port: u16,
    host_port: u16,
    /// None where the engine names none.
    host_ip: Option<IpAddr>,
}

/// The same in Docker's words.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct RawBinding {
    #[serde(deserialize_with = "or_default")]
    host_ip: String,
    #[serde(deserialize_with = "or_default")]
    host_port: String,
}

/// A container's place in one network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "RawNetwork")]
pub(crate) struct Network {
    ipv4: Option<Ipv4Addr>,
    ipv4_prefix: u8,
    ipv4_gateway: Option<Ipv4Addr>,
    /// Few have one.
    ipv6: Option<Box<Ipv6Place>>,
    aliases: Texts,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Ipv6Place {
    address: Option<Ipv6Addr>,
    prefix: u8,
    gateway: Option<Ipv6Addr>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawNetwork {
    #[serde(rename = "IPAddress", deserialize_with = "compact::address")]
    ipv4: Option<IpAddr>,
    #[serde(rename = "IPPrefixLen", deserialize_with = "or_default")]
    ipv4_prefix: u8,
    #[serde(rename = "Gateway", deserialize_with = "compact::address")]
    ipv4_gateway: Option<IpAddr>,
    #[serde(rename = "GlobalIPv6Address", deserialize_with = "compact::address")]
    ipv6: Option<IpAddr>,
    #[serde(rename = "GlobalIPv6PrefixLen", deserialize_with = "or_default")]
    ipv6_prefix: u8,
    #[serde(rename = "IPv6Gateway", deserialize_with = "compact::address")]
    ipv6_gateway: Option<IpAddr>,
    #[serde(rename = "Aliases", deserialize_with = "or_default")]
    aliases: Texts,
    #[serde(rename = "DNSNames", deserialize_with = "or_default")]
    dns_names: Texts,
}

impl From<RawNetwork> for Network {
    fn from(raw: RawNetwork) -> Self {
        let place = Ipv6Place {
            address: ipv6(raw.ipv6),
            prefix: raw.ipv6_prefix,
            gateway: ipv6(raw.ipv6_gateway),
        };
        let has_ipv6 = place.address.is_some() || place.gateway.is_some();
        Self {
            ipv4: ipv4(raw.ipv4),
            ipv4_prefix: raw.ipv4_prefix,
            ipv4_gateway: ipv4(raw.ipv4_gateway),
            ipv6: has_ipv6.then(|| Box::new(place)),
            aliases: raw.aliases.join(&raw.dns_names),
        }
    }
}

impl NetworkSettings {
    /// What this port of the container is published as: the host's address,
    /// none if the engine names none, and port.
    pub(crate) fn bindings(&self, port: u16) -> impl Iterator<Item = (Option<IpAddr>, u16)> {
        let bindings = self.ports.0.iter().flatten();
        let bindings = bindings.filter(move |one| one.port == port);
        bindings.map(|one| (one.host_ip, one.host_port))
    }

    /// Whether Docker lists no ports at all, not even unpublished ones.
    pub(crate) fn has_no_ports(&self) -> bool {
        self.ports.0.is_none()
    }

    /// The networks, sorted by name.
    pub(crate) fn networks(&self) -> impl Iterator<Item = (&str, &Network)> {
        let networks = self.networks.iter();
        networks.filter_map(|(name, network)| Some((name, network.as_ref()?)))
    }

    /// Whether the container is on this network.
    pub(crate) fn is_on(&self, name: &str) -> bool {
        self.networks.has(name)
    }

    /// Whether it has this alias in a network.
    pub(crate) fn has_alias(&self, name: &str) -> bool {
        self.aliases().any(|alias| alias == name)
    }

    /// Its aliases in all networks.
    pub(crate) fn aliases(&self) -> impl Iterator<Item = &str> {
        self.networks()
            .flat_map(|(_, network)| network.aliases.iter())
    }

    /// Where it is in each network.
    pub(crate) fn addresses(
        &self,
    ) -> impl Iterator<Item = (&str, Option<Ipv4Addr>, Option<Ipv6Addr>)> {
        self.networks()
            .map(|(name, network)| (name, network.ipv4, network.ipv6()))
    }

    /// The published TCP ports: the container's, and the host's for it.
    pub(crate) fn published(&self) -> BTreeSet<(u16, u16)> {
        let bindings = self.ports.0.iter().flatten();
        bindings.map(|one| (one.port, one.host_port)).collect()
    }

    /// About how much memory it takes, in bytes.
    pub(crate) fn weight(&self) -> usize {
        let ports = self.ports.0.iter().flatten().count() * size_of::<Binding>();
        let networks = self.networks.iter().map(|(name, network)| {
            let aliases = network.as_ref().map_or(0, |one| one.aliases.weight());
            size_of::<Network>() + decode::weight(name) + aliases
        });
        ports + networks.sum::<usize>()
    }

    /// The names of the networks, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        self.networks.iter().map(|(name, _)| name.into()).collect()
    }
}

impl<'de> Deserialize<'de> for Ports {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Sorted::<Option<Vec<RawBinding>>>::deserialize(deserializer)?;
        let tcp = raw
            .iter()
            .filter_map(|(key, bindings)| Some((decode::tcp_port(key)?, bindings.as_ref()?)));
        let bindings = tcp
            .flat_map(|(port, bindings)| bindings.iter().filter_map(move |one| one.leads_to(port)));
        let is_listed = raw.iter().next().is_some();
        Ok(Self(is_listed.then(|| bindings.collect())))
    }
}

impl RawBinding {
    fn leads_to(&self, port: u16) -> Option<Binding> {
        let host_ip = match self.host_ip.as_str() {
            "" => None,
            // An IPv4-mapped address is of the IPv4 host that it leads to.
            ip => Some(ip.parse::<IpAddr>().ok()?.to_canonical()),
        };
        Some(Binding {
            port,
            host_port: decode::port(&self.host_port)?,
            host_ip,
        })
    }
}

impl Network {
    /// Its address and prefix length in the family.
    pub(crate) fn address(&self, ipv4: bool) -> Option<(IpAddr, u8)> {
        match ipv4 {
            true => Some((self.ipv4?.into(), self.ipv4_prefix)),
            false => Some((self.ipv6()?.into(), self.ipv6.as_ref()?.prefix)),
        }
    }

    /// The address of its gateway, which is the Docker host's.
    pub(crate) fn gateway(&self, ipv4: bool) -> Option<IpAddr> {
        match ipv4 {
            true => self.ipv4_gateway.map(IpAddr::from),
            false => self.ipv6.as_ref()?.gateway.map(IpAddr::from),
        }
    }

    fn ipv6(&self) -> Option<Ipv6Addr> {
        self.ipv6.as_ref()?.address
    }
}

/// An IPv4-mapped address is of the IPv4 host that it leads to.
fn ipv4(ip: Option<IpAddr>) -> Option<Ipv4Addr> {
    match ip?.to_canonical() {
        IpAddr::V4(ip) if !ip.is_unspecified() => Some(ip),
        _ => None,
    }
}

fn ipv6(ip: Option<IpAddr>) -> Option<Ipv6Addr> {
    match ip?.to_canonical() {
        IpAddr::V6(ip) if !ip.is_unspecified() => Some(ip),
        _ => None,
    }
}
