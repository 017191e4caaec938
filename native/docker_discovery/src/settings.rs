//! The settings that a lookup depends on. Erlang reads and merges them; the
//! types here refuse what it should not have let through.

use std::fmt;
use std::time::Duration;

pub use crate::allowed_hosts::AllowedHosts;
use crate::docker::endpoint::Endpoint;
use crate::docker::locator::Locator;
use crate::docker::tls::TlsFiles;
use crate::docker::version::ApiVersion;

/// All settings of a resolver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The local daemon; with a locator, where it is if nothing says another.
    pub docker_host: Endpoint,
    /// TLS to the local daemon, if that is reached over TCP.
    pub tls: Option<TlsFiles>,
    /// How to find the local daemon where the user has not named it.
    pub locator: Option<Locator>,
    /// The TCP port of the daemons of other hosts.
    pub daemon_port: u16,
    /// TLS to the daemons of other hosts.
    pub remote_tls: Option<TlsFiles>,
    /// Which hosts a node name may lead to.
    pub allowed_hosts: AllowedHosts,
    /// Which kind of address is wanted.
    pub address: AddressMode,
    /// The one network whose addresses count.
    pub network: Option<String>,
    /// Our own distribution port. A lookup does not use it: where the cluster
    /// has one port, `remote_port` says so.
    pub dist_port: Option<u16>,
    /// The distribution port of containers that do not say theirs.
    pub remote_port: Option<u16>,
    /// The same for `ContainerId@HostAddr`, after `remote_port`.
    pub on_host_port: u16,
    /// Overrides what the daemon says its API version is.
    pub api_version: Option<ApiVersion>,
    /// Time between two lists of a daemon whose events are followed; `None`
    /// is to follow none, and to ask at each lookup.
    pub watch: Option<Duration>,
    /// Bounds of time, size and number.
    pub limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            docker_host: Endpoint::default(),
            tls: None,
            locator: None,
            daemon_port: 4243,
            remote_tls: None,
            allowed_hosts: AllowedHosts::default(),
            address: AddressMode::Auto,
            network: None,
            dist_port: None,
            remote_port: None,
            on_host_port: 12_345,
            api_version: None,
            watch: None,
            limits: Limits::default(),
        }
    }
}

/// Which of a container's addresses to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AddressMode {
    /// The container's own address where that leads somewhere, else the
    /// published port.
    #[default]
    Auto,
    /// The container's own address only.
    Container,
    /// The published port only.
    Published,
}

/// Bounds, so that neither a daemon nor a flood of names harms the VM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest answer about one container, in bytes.
    pub max_body: u64,
    /// Longest list of containers, in bytes.
    pub max_list: u64,
    /// Requests at a time to one daemon.
    pub max_in_flight: usize,
    /// Requests that wait for their turn at one daemon.
    pub max_waiting: usize,
    /// Daemons of other hosts that are remembered.
    pub max_daemons: usize,
    /// Containers of one daemon that are held on to.
    pub max_containers: usize,
    /// What is held on to of all of them, in bytes.
    pub max_known: usize,
    /// How many containers a search by hostname or alias looks at.
    pub max_inspected: usize,
    /// Time for one connect.
    pub connect_timeout: Duration,
    /// How long an idle connection is kept.
    pub pool_idle: Duration,
    /// How long the daemon of another host is followed after its last use.
    pub watch_idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_body: 8 << 20,
            max_list: 64 << 20,
            max_in_flight: 64,
            max_waiting: 4096,
            max_daemons: 256,
            max_containers: 1 << 16,
            max_known: 64 << 20,
            max_inspected: 500,
            connect_timeout: Duration::from_secs(2),
            pool_idle: Duration::from_secs(30),
            watch_idle: Duration::from_secs(600),
        }
    }
}

/// A setting that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingError {
    /// The setting's name.
    pub setting: &'static str,
    /// The value that was refused.
    pub value: String,
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bad value for {}: {:?}", self.setting, self.value)
    }
}

impl std::error::Error for SettingError {}
