//! Everything that a lookup can answer instead of an address.

use std::fmt;

use crate::docker::context::ContextFault;
use crate::docker::tls::TlsFault;
use crate::errno::Errno;
use crate::node_name::ContainerId;

/// Why a lookup found no address.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// No container goes by that name, or the name is not one of Docker's.
    NoSuchContainer,
    /// The container is there and is not running.
    NotRunning(ContainerState),
    /// Several containers go by that name: their ids, sorted, at most 16.
    Ambiguous(Vec<ContainerId>),
    /// The container does not publish this port.
    NotPublished(u16),
    /// The container publishes this port on its host's loopback only.
    LoopbackOnly(u16),
    /// The container has no network in common with us, or not the one asked
    /// for: the networks that it is on, sorted.
    NoNetwork(Vec<String>),
    /// This Docker host has no address of the family that was asked for.
    NoHostAddress(String),
    /// The setting `allowed_hosts` forbids this host.
    HostNotAllowed(String),
    /// Not a node name: its text, with what is not UTF-8 replaced.
    BadNodeName(String),
    /// No connection to the daemon, or none that lasts.
    Connect {
        /// The daemon.
        endpoint: String,
        /// What the operating system said.
        errno: Errno,
    },
    /// No TLS session with the daemon.
    Tls {
        /// The daemon.
        endpoint: String,
        /// What went wrong.
        fault: TlsFault,
    },
    /// The Docker context that says where the local daemon is cannot be used.
    Context {
        /// Its name.
        name: String,
        /// Why not.
        fault: ContextFault,
    },
    /// The daemon answered with an unexpected HTTP status.
    Status {
        /// The HTTP status.
        code: u16,
        /// The daemon's own words, at most 256 characters.
        message: String,
    },
    /// The daemon's answer makes no sense.
    BadResponse(String),
    /// The daemon's answer is longer than this limit in bytes.
    TooLarge(u64),
    /// The time ran out.
    Timeout,
    /// A queue or a table is full.
    Busy,
    /// The work was given up before it had an answer.
    Cancelled,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchContainer => f.write_str("Docker knows no such container"),
            Self::NotRunning(state) => write!(f, "the container is not running, it is {state}"),
            Self::Ambiguous(ids) => {
                f.write_str("several containers go by that name:")?;
                ids.iter().try_for_each(|id| write!(f, " {id}"))
            }
            Self::NotPublished(port) => write!(f, "the container does not publish port {port}"),
            Self::LoopbackOnly(port) => write!(
                f,
                "the container publishes port {port} on the loopback address of its host only"
            ),
            Self::NoNetwork(networks) => {
                f.write_str("no network leads to the container, it is on:")?;
                networks.iter().try_for_each(|name| write!(f, " {name}"))
            }
            Self::NoHostAddress(host) => {
                write!(f, "the host {host} has no address of that family")
            }
            Self::HostNotAllowed(host) => write!(f, "allowed_hosts forbids the host {host}"),
            Self::BadNodeName(name) => write!(f, "{name:?} is not a node name"),
            Self::Connect { endpoint, errno } => {
                write!(
                    f,
                    "no connection to the Docker daemon at {endpoint}: {errno}"
                )
            }
            Self::Tls { endpoint, fault } => {
                write!(
                    f,
                    "no TLS session with the Docker daemon at {endpoint}: {fault}"
                )
            }
            Self::Context { name, fault } => {
                write!(f, "the Docker context {name:?} cannot be used: {fault}")
            }
            Self::Status { code, message } => {
                write!(
                    f,
                    "the Docker daemon answered with status {code}: {message}"
                )
            }
            Self::BadResponse(detail) => {
                write!(f, "the Docker daemon's answer makes no sense: {detail}")
            }
            Self::TooLarge(limit) => {
                write!(f, "the Docker daemon's answer is longer than {limit} bytes")
            }
            Self::Timeout => f.write_str("the time for the lookup ran out"),
            Self::Busy => f.write_str("too many lookups at a time"),
            Self::Cancelled => f.write_str("the lookup was given up"),
        }
    }
}

impl std::error::Error for Error {}

/// What Docker says of a container that does not run (`State.Status`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContainerState {
    /// Made, never started.
    Created,
    /// Between two runs.
    Restarting,
    /// On its way out.
    Removing,
    /// Running, but frozen.
    Paused,
    /// Its process has ended.
    Exited,
    /// Ended, and Docker could not remove it.
    Dead,
    /// A state that Docker did not have when this was written.
    Unknown,
}

impl ContainerState {
    /// Docker's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Restarting => "restarting",
            Self::Removing => "removing",
            Self::Paused => "paused",
            Self::Exited => "exited",
            Self::Dead => "dead",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for ContainerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
