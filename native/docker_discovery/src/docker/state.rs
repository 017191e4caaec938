//! Whether a container runs, and how it feels, as an inspect shows it.

use serde::Deserialize;

use super::decode::or_default;
use crate::error::ContainerState;
use crate::subscribe::Health;

/// `State`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "Raw")]
pub(super) struct State {
    /// What it does, if it does not run.
    pub(super) not_running: Option<ContainerState>,
    pub(super) health: Option<Health>,
}

/// The same in Docker's words.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Raw {
    #[serde(deserialize_with = "or_default")]
    status: String,
    #[serde(deserialize_with = "or_default")]
    running: bool,
    #[serde(deserialize_with = "or_default")]
    paused: bool,
    #[serde(deserialize_with = "or_default")]
    health: HealthCheck,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct HealthCheck {
    #[serde(deserialize_with = "or_default")]
    status: String,
}

impl Default for State {
    fn default() -> Self {
        Raw::default().into()
    }
}

impl From<Raw> for State {
    fn from(raw: Raw) -> Self {
        Self {
            not_running: match raw.status.as_str() {
                _ if raw.paused => Some(ContainerState::Paused),
                "running" => None,
                "" if raw.running => None,
                status => Some(state(status)),
            },
            health: match raw.health.status.as_str() {
                "starting" => Some(Health::Starting),
                "healthy" => Some(Health::Healthy),
                "unhealthy" => Some(Health::Unhealthy),
                _ => None,
            },
        }
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
