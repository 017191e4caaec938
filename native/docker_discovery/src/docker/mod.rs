//! The Docker Engine: how to reach a daemon, and what it says.

pub(crate) mod client;
mod compact;
pub(crate) mod container;
pub(crate) mod context;
pub(crate) mod decode;
pub(crate) mod endpoint;
pub(crate) mod events;
pub(crate) mod find;
mod flights;
mod host_names;
mod http;
pub(crate) mod labels;
pub(crate) mod list;
pub(crate) mod locator;
mod network;
pub(crate) mod pieces;
pub(crate) mod place;
pub(crate) mod search;
mod standing;
mod state;
pub(crate) mod tls;
pub(crate) mod transport;
pub(crate) mod version;

use endpoint::Endpoint;
use locator::Origin;
use version::ApiVersion;

use crate::error::Error;
use crate::watch::WatchState;

/// What is known of a daemon, for people who look for a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DaemonInfo {
    /// Where it listens.
    pub endpoint: Endpoint,
    /// Whether it is spoken to with TLS.
    pub tls: bool,
    /// Why there.
    pub origin: Origin,
    /// How the last request to it went.
    pub state: DaemonState,
    /// The API version in use; none if unknown, or if the daemon has none.
    pub api_version: Option<ApiVersion>,
    /// HTTP requests sent.
    pub requests: u64,
    /// Questions that another one's request answered.
    pub coalesced: u64,
    /// Requests that wait for an answer or for their turn.
    pub in_flight: usize,
    /// Connects after the first.
    pub reconnects: u64,
    /// Whether its events are followed.
    pub watch: WatchState,
    /// Containers that it is known to have, running or not.
    pub containers: usize,
    /// How many of them are answered from memory.
    pub known: usize,
}

/// How the last request to a daemon went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DaemonState {
    /// Nothing was asked yet.
    Unknown,
    /// It answered.
    Up,
    /// It could not be reached, for this reason.
    Down(Error),
}
