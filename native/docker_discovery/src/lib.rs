//! Asks the Docker Engine where an Erlang node is.
//!
//! [`Resolver::lookup`] takes a [`NodeName`] and answers with an address and a
//! distribution port. It knows names, Docker, addresses and time limits; it
//! knows nothing of the Erlang VM. All of it runs on a current-thread tokio
//! runtime with time and IO switched on.

#![forbid(unsafe_code)]

mod allowed_hosts;
#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod bench;
mod breaker;
mod candidate;
mod daemons;
mod dist_port;
mod docker;
mod errno;
mod error;
mod explain;
mod found;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod host_addr;
mod index;
mod interfaces;
mod known;
mod look;
mod names;
mod node_name;
mod notice;
mod resolve;
mod route;
mod settings;
mod subscribe;
mod sync;
mod table;
mod watch;

pub use candidate::{Candidate, Refusal, Verdict};
pub use dist_port::PortSource;
pub use docker::context::{ContextFault, ContextName};
pub use docker::endpoint::{Endpoint, EndpointError};
pub use docker::locator::{Locator, Origin};
pub use docker::tls::{FileFault, TlsFault, TlsFiles, TlsRefusal};
pub use docker::version::ApiVersion;
pub use docker::{DaemonInfo, DaemonState};
pub use errno::Errno;
pub use error::{ContainerState, Error};
pub use explain::Explained;
pub use found::{ContainerInfo, DistPort, Family, Found, Via};
pub use host_addr::HostAddr;
pub use node_name::{ContainerId, ContainerRef, NodeName, Scheme};
pub use notice::Notice;
pub use resolve::Resolver;
pub use settings::{AddressMode, AllowedHosts, Limits, SettingError, Settings};
pub use subscribe::{Change, Health, Member, Subscription};
pub use table::{Entry, Table};
pub use watch::WatchState;
