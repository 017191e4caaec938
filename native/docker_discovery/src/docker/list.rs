//! The list of all containers, as `GET /containers/json?all=1` shows it.

use serde::Deserialize;

use super::decode::{self, Labels, or_default};
use crate::error::Error;
use crate::node_name::ContainerId;

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
}

impl Listed {
    /// Reads the list.
    pub(crate) fn decode(body: &[u8]) -> Result<Vec<Self>, Error> {
        decode::json(body)
    }

    pub(crate) fn is_running(&self) -> bool {
        self.state == "running"
    }

    /// Whether it has this name. "/a/b" is a link of another container.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        self.names
            .iter()
            .any(|own| own.strip_prefix('/').unwrap_or(own) == name)
    }

    /// Whether it is of this Compose service.
    pub(crate) fn is_of_service(&self, service: &str) -> bool {
        self.labels.get("com.docker.compose.service") == Some(service)
    }
}
