//! One lookup: from a node name to an address and a port.

use std::net::IpAddr;
use std::time::Duration;

use crate::docker::DaemonInfo;
use crate::error::Error;
use crate::node_name::{ContainerId, ContainerRef, NodeName, Scheme};
use crate::settings::Settings;

/// The address family that a connection wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4.
    Inet,
    /// IPv6.
    Inet6,
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

/// Finds nodes through Docker. Share it in an `Arc`.
#[derive(Debug)]
pub struct Resolver {
    settings: Settings,
}

impl Resolver {
    /// Does no IO and needs no runtime.
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Where a node is. A name that is not Docker's is
    /// [`Error::NoSuchContainer`] at once.
    pub async fn lookup(
        &self,
        node: &NodeName,
        _family: Family,
        _timeout: Duration,
    ) -> Result<Found, Error> {
        match node.scheme() {
            Scheme::OnHost { .. } | Scheme::InContainer { .. } | Scheme::Other => {
                Err(Error::NoSuchContainer)
            }
        }
    }

    /// Where `port` of a container of the local daemon is.
    pub async fn locate(
        &self,
        _container: &ContainerRef,
        _port: u16,
        _family: Family,
        _timeout: Duration,
    ) -> Result<Found, Error> {
        Err(Error::NoSuchContainer)
    }

    /// The daemons that were asked so far, the local one first.
    pub fn daemons(&self) -> Vec<DaemonInfo> {
        Vec::new()
    }
}
