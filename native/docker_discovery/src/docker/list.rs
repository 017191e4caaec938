//! The list of all containers, as `GET /containers/json?all=1` shows it.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::client::Daemon;
use super::container::Container;
use super::decode::{self, or_default};
use super::labels::{Labels, SERVICE};
use super::network::NetworkSettings;
use super::pieces::Pieces;
use crate::error::Error;
use crate::node_name::ContainerId;

/// Asks for all containers, running or not.
const PATH: &str = "/containers/json?all=1";

/// The list as the daemon has it now.
pub(crate) async fn list(daemon: &Daemon) -> Result<Pieces<Listed>, Error> {
    let reply = daemon.get(PATH, daemon.limits.max_list).await?;
    Pieces::new(reply.body, MAX_CONTAINERS)
}

/// More than any host has: a daemon with more is not believed.
pub(crate) const MAX_CONTAINERS: usize = 1 << 16;

/// One container of the list.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Listed {
    #[serde(deserialize_with = "decode::container_id")]
    pub(crate) id: ContainerId,
    #[serde(default, deserialize_with = "or_default")]
    names: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    state: String,
    #[serde(default, deserialize_with = "or_default")]
    labels: Labels,
    #[serde(default, deserialize_with = "or_default")]
    ports: Vec<Port>,
    /// Its networks; the ports are not in there.
    #[serde(default, deserialize_with = "or_default")]
    network_settings: NetworkSettings,
}

/// A port, published or not.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Port {
    #[serde(deserialize_with = "or_default")]
    private_port: u16,
    #[serde(deserialize_with = "or_default")]
    public_port: u16,
    #[serde(deserialize_with = "or_default", rename = "Type")]
    protocol: String,
}

impl Listed {
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn decode(body: &[u8]) -> Result<Vec<Self>, Error> {
        decode::json(body)
    }

    pub(crate) fn is_running(&self) -> bool {
        self.state == "running"
    }

    /// Its own name; "/a/b" is a link of another container.
    pub(crate) fn name(&self) -> &str {
        let mut names = self.names.iter();
        let mut names = names
            .by_ref()
            .map(|name| name.strip_prefix('/').unwrap_or(name));
        names.find(|name| !name.contains('/')).unwrap_or_default()
    }

    /// Whether it has this name.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        self.names
            .iter()
            .any(|own| own.strip_prefix('/').unwrap_or(own) == name)
    }

    /// Whether it is of this Compose service.
    pub(crate) fn is_of_service(&self, service: &str) -> bool {
        self.labels.get(SERVICE) == Some(service)
    }

    /// Whether an inspect that was made before may still be true, as far as a
    /// list can tell: name, state, addresses, published ports.
    pub(crate) fn agrees_with(&self, container: &Container) -> bool {
        let networks = &container.network_settings;
        self.name() == &*container.name
            && self.is_running() == container.not_running().is_none()
            && self.network_settings.addresses().eq(networks.addresses())
            && self.published() == networks.published()
    }

    fn published(&self) -> BTreeSet<(u16, u16)> {
        let published = |port: &&Port| port.public_port != 0 && port.protocol == "tcp";
        let ports = self.ports.iter().filter(published);
        ports
            .map(|port| (port.private_port, port.public_port))
            .collect()
    }
}
