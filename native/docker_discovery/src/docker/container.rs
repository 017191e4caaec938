//! A container, as `GET /containers/{id}/json` shows it.

use std::sync::Arc;

use serde::{Deserialize, Deserializer};

use super::decode::{self, EnvPort, TcpPorts, or_default};
use super::labels::{Labels, SERVICE};
use super::network::NetworkSettings;
use super::state::State;
use crate::error::{ContainerState, Error};
use crate::node_name::{ContainerId, ContainerRef};
use crate::subscribe::Health;

/// The fields of a container that a lookup uses.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Container {
    #[serde(deserialize_with = "decode::container_id")]
    pub(crate) id: ContainerId,
    /// The index has it too.
    #[serde(default, deserialize_with = "without_slash")]
    pub(crate) name: Arc<str>,
    #[serde(default, deserialize_with = "or_default")]
    state: State,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) config: Config,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) host_config: HostConfig,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) network_settings: NetworkSettings,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Config {
    #[serde(deserialize_with = "or_default")]
    pub(crate) hostname: Box<str>,
    #[serde(deserialize_with = "or_default", rename = "Env")]
    pub(crate) dist_port: EnvPort,
    #[serde(deserialize_with = "or_default")]
    pub(crate) labels: Labels,
    #[serde(deserialize_with = "or_default")]
    exposed_ports: TcpPorts,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct HostConfig {
    /// Where it is another one's, or the host's.
    #[serde(deserialize_with = "borrowed_network")]
    network_mode: Box<str>,
    #[serde(deserialize_with = "or_default")]
    port_bindings: TcpPorts,
    #[serde(deserialize_with = "or_default")]
    publish_all_ports: bool,
}

impl Container {
    /// Reads the answer to an inspect.
    pub(crate) fn decode(body: &[u8]) -> Result<Self, Error> {
        decode::json(body)
    }

    /// About how much memory it takes, in bytes.
    pub(crate) fn weight(&self) -> usize {
        let texts = decode::weight(&self.name) + decode::weight(&self.config.hostname);
        let mode = self.host_config.network_mode.len();
        let ports = self.config.exposed_ports.0.len() + self.host_config.port_bindings.0.len();
        texts + mode + 2 * ports + self.config.labels.weight() + self.network_settings.weight()
    }

    /// `None` if it runs. `State` comes first: Podman goes on listing the
    /// ports of a container that has stopped.
    pub(crate) fn not_running(&self) -> Option<ContainerState> {
        self.state.not_running
    }

    /// What its health check says, if it has one.
    pub(crate) fn health(&self) -> Option<Health> {
        self.state.health
    }

    /// Whether it goes by this hostname or has this alias in a network. An
    /// Erlang node with a short name uses the first label of its hostname.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        let hostname = &*self.config.hostname;
        hostname == name
            || hostname.split('.').next() == Some(name)
            || self.network_settings.has_alias(name)
    }

    /// What it is called besides its name: its Compose service, its hostname,
    /// whole and first label, and its aliases. Some of them more than once.
    pub(crate) fn also_called(&self) -> impl Iterator<Item = &str> {
        let hostname = &*self.config.hostname;
        let label = hostname.split('.').next();
        let hostnames = [Some(hostname), label, self.service()];
        let hostnames = hostnames
            .into_iter()
            .flatten()
            .filter(|name| !name.is_empty());
        hostnames.chain(self.network_settings.aliases())
    }

    /// The Compose service that it is of.
    pub(crate) fn service(&self) -> Option<&str> {
        self.config.labels.get(SERVICE)
    }

    /// The container whose network this one uses instead of its own.
    pub(crate) fn network_host(&self) -> Option<ContainerRef> {
        let mode = &self.host_config.network_mode;
        mode.strip_prefix("container:")
            .and_then(ContainerRef::parse)
    }

    /// Whether its network is its host's.
    pub(crate) fn is_on_host_network(&self) -> bool {
        &*self.host_config.network_mode == "host"
    }

    /// Makes it use the other one's network, as `network_mode: container:` does.
    pub(crate) fn join(&mut self, other: &Self) {
        self.host_config = other.host_config.clone();
        self.network_settings = other.network_settings.clone();
        self.config.exposed_ports = other.config.exposed_ports.clone();
    }

    /// Whether Docker was told to publish this port and has yet to do it, as
    /// for a moment after a start.
    pub(crate) fn is_about_to_publish(&self, port: u16) -> bool {
        let host = &self.host_config;
        let asked = host.port_bindings.0.contains(&port)
            || (host.publish_all_ports && self.config.exposed_ports.0.contains(&port));
        asked && self.network_settings.has_no_ports()
    }
}

/// Of all other modes one can do without the name.
fn borrowed_network<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Box<str>, D::Error> {
    let mode: String = or_default(deserializer)?;
    let is_borrowed = mode == "host" || mode.starts_with("container:");
    Ok(if is_borrowed { mode.into() } else { "".into() })
}

fn without_slash<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<str>, D::Error> {
    let name: String = or_default(deserializer)?;
    Ok(name.strip_prefix('/').unwrap_or(&name).into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
