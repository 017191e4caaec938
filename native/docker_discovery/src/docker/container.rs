//! A container, as `GET /containers/{id}/json` shows it.

use serde::{Deserialize, Deserializer};

use super::decode::{self, EnvPort, Labels, TcpPorts, or_default};
use super::network::NetworkSettings;
use crate::error::{ContainerState, Error};
use crate::node_name::{ContainerId, ContainerRef};
use crate::subscribe::Health;

/// The fields of a container that a lookup uses.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Container {
    #[serde(deserialize_with = "decode::container_id")]
    pub(crate) id: ContainerId,
    #[serde(default, deserialize_with = "without_slash")]
    pub(crate) name: String,
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
struct State {
    #[serde(deserialize_with = "or_default")]
    status: String,
    #[serde(deserialize_with = "or_default")]
    running: bool,
    #[serde(deserialize_with = "or_default")]
    paused: bool,
    #[serde(deserialize_with = "or_default")]
    health: HealthCheck,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct HealthCheck {
    #[serde(deserialize_with = "or_default")]
    status: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Config {
    #[serde(deserialize_with = "or_default")]
    pub(crate) hostname: String,
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
    #[serde(deserialize_with = "or_default")]
    network_mode: String,
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
        let texts = [&self.name, &self.state.status, &self.config.hostname];
        let texts: usize = texts.into_iter().map(|text| decode::weight(text)).sum();
        let mode = decode::weight(&self.host_config.network_mode);
        let ports = self.config.exposed_ports.0.len() + self.host_config.port_bindings.0.len();
        texts + mode + 2 * ports + self.config.labels.weight() + self.network_settings.weight()
    }

    /// `None` if it runs. `State` comes first: Podman goes on listing the
    /// ports of a container that has stopped.
    pub(crate) fn not_running(&self) -> Option<ContainerState> {
        if self.state.paused {
            return Some(ContainerState::Paused);
        }
        match self.state.status.as_str() {
            "running" => None,
            "" if self.state.running => None,
            status => Some(state(status)),
        }
    }

    /// What its health check says, if it has one.
    pub(crate) fn health(&self) -> Option<Health> {
        match self.state.health.status.as_str() {
            "starting" => Some(Health::Starting),
            "healthy" => Some(Health::Healthy),
            "unhealthy" => Some(Health::Unhealthy),
            _ => None,
        }
    }

    /// Whether it goes by this hostname or has this alias in a network. An
    /// Erlang node with a short name uses the first label of its hostname.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        let hostname = self.config.hostname.as_str();
        hostname == name
            || hostname.split('.').next() == Some(name)
            || self.network_settings.has_alias(name)
    }

    /// What it is called besides its name: its Compose service, its hostname,
    /// whole and first label, and its aliases. Some of them more than once.
    pub(crate) fn also_called(&self) -> impl Iterator<Item = &str> {
        let hostname = self.config.hostname.as_str();
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
        self.config.labels.get("com.docker.compose.service")
    }

    /// The container whose network this one uses instead of its own.
    pub(crate) fn network_host(&self) -> Option<ContainerRef> {
        let mode = self.host_config.network_mode.as_str();
        mode.strip_prefix("container:")
            .and_then(ContainerRef::parse)
    }

    /// Whether its network is its host's.
    pub(crate) fn is_on_host_network(&self) -> bool {
        self.host_config.network_mode == "host"
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

/// Docker's words, and Podman's where they differ.
fn state(status: &str) -> ContainerState {
    match status {
        "created" | "configured" | "initialized" => ContainerState::Created,
        "restarting" => ContainerState::Restarting,
        "removing" => ContainerState::Removing,
        "paused" => ContainerState::Paused,
        "exited" | "stopped" | "stopping" => ContainerState::Exited,
        "dead" => ContainerState::Dead,
        _ => ContainerState::Unknown,
    }
}

fn without_slash<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let mut name: String = or_default(deserializer)?;
    if name.starts_with('/') {
        name.remove(0);
    }
    Ok(name)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
