//! What a lookup gives.

use std::net::IpAddr;

use crate::node_name::ContainerId;

/// The address family that a connection wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4.
    Inet,
    /// IPv6.
    Inet6,
}

impl Family {
    /// Whether this is an address of the family. An IPv4-mapped IPv6 address
    /// counts as the IPv4 address that it leads to.
    pub(crate) fn has(self, ip: IpAddr) -> bool {
        ip.to_canonical().is_ipv4() == (self == Self::Inet)
    }
}

/// Where the distribution listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DistPort {
    /// On this port.
    Known(u16),
    /// Ask the epmd at the address that was found, port 4369.
    Epmd,
}

/// How the address leads to the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Via {
    /// It is the container's own, on this network.
    Container {
        /// The network's name.
        network: String,
    },
    /// It is a port that Docker published.
    Published,
    /// It is the host's; the container has no network of its own.
    HostNetwork,
}

/// A node, found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where to connect to.
    pub address: IpAddr,
    /// The port there.
    pub port: DistPort,
    /// How that leads to the container.
    pub via: Via,
    /// Whether this is what was last known, since the daemon cannot be reached.
    pub stale: bool,
    /// The container.
    pub container: ContainerInfo,
}

/// Which container was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerInfo {
    /// Its full id.
    pub id: ContainerId,
    /// Its name, without Docker's leading slash.
    pub name: String,
    /// Its hostname.
    pub hostname: String,
    /// The daemon that knows it, as the text of its endpoint.
    pub daemon: String,
}
