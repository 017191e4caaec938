//! Where the daemon of a lookup runs: its host's address, and whether that is ours.

use std::net::IpAddr;

use super::Target;
use crate::docker::client::Daemon;
use crate::docker::endpoint::Endpoint;
use crate::error::Error;
use crate::host_addr::HostAddr;
use crate::interfaces::View;

/// The address of the daemon's host in the family: the one that we are
/// connected to, if it is of that family.
pub(crate) async fn host_address(target: &Target<'_>) -> Result<Option<IpAddr>, Error> {
    match known_host(target) {
        Some(host) => Ok(host),
        None => {
            let addresses = target.daemon.link.addresses().await?;
            let fits = |ip: &IpAddr| target.family.has(*ip);
            Ok(addresses.into_iter().find(fits))
        }
    }
}

/// The same without asking a name server; `None` if that were needed.
pub(super) fn known_host(target: &Target<'_>) -> Option<Option<IpAddr>> {
    let link = &target.daemon.link;
    let fits = |ip: &IpAddr| target.family.has(*ip);
    match &link.spot().endpoint {
        Endpoint::Unix(_) => Some(None),
        Endpoint::Tcp {
            host: HostAddr::Ip(ip),
            ..
        } => Some(Some(ip.to_canonical()).filter(fits)),
        Endpoint::Tcp { .. } => link.peer().filter(fits).map(Some),
    }
}

/// Whether the daemon runs on this machine: behind a unix socket, or at an
/// address of ours.
pub(super) fn is_local(daemon: &Daemon, host: Option<IpAddr>, view: &View) -> bool {
    match daemon.link.spot().endpoint {
        Endpoint::Unix(_) => true,
        Endpoint::Tcp { .. } => host
            .or(daemon.link.peer())
            .is_some_and(|ip| view.is_ours(ip)),
    }
}

/// What the host of the daemon is called.
pub(crate) fn host_name(target: &Target<'_>) -> String {
    match &target.daemon.link.spot().endpoint {
        Endpoint::Tcp { host, .. } => host.to_string(),
        Endpoint::Unix(_) => String::new(),
    }
}
