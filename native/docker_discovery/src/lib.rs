//! Asks the Docker Engine where an Erlang node is.
//!
//! [`Resolver::lookup`] takes a [`NodeName`] and answers with an address and a
//! distribution port. It knows names, Docker, addresses and time limits; it
//! knows nothing of the Erlang VM. All of it runs on a current-thread tokio
//! runtime with time and IO switched on.

#![forbid(unsafe_code)]

mod allowed_hosts;
mod docker;
mod errno;
mod error;
mod node_name;
mod resolve;
mod settings;
mod table;

pub use docker::endpoint::{Endpoint, EndpointError};
pub use docker::version::ApiVersion;
pub use docker::{DaemonInfo, DaemonState};
pub use errno::Errno;
pub use error::{ContainerState, Error};
pub use node_name::{ContainerId, ContainerRef, HostAddr, NodeName, Scheme};
pub use resolve::{ContainerInfo, DistPort, Family, Found, Resolver, Via};
pub use settings::{AddressMode, AllowedHosts, Limits, SettingError, Settings};
pub use table::{Entry, Table};
