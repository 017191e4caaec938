//! One look at a container: find it, see whether it runs, choose the way to it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::dist_port::{PortSource, dist_port};
use crate::docker::client::Daemon;
use crate::docker::container::Container;
use crate::docker::find::{Wanted, find, reinspect};
use crate::error::{ContainerState, Error};
use crate::found::{ContainerInfo, DistPort, Family, Found, Via};
use crate::host_addr::HostAddr;
use crate::interfaces::{Interfaces, MAX_AGE, MAX_AGE_IN_DOUBT, View};
use crate::route::{Vantage, Way, route};
use crate::settings::{AddressMode, Settings};

mod daemon_host;

pub(crate) use daemon_host::{host_address, host_name};
use daemon_host::{is_local, known_host};

/// A `docker restart` stops the container for less than this.
const RESTART: Duration = Duration::from_secs(1);

/// What is looked for.
pub(crate) struct Target<'a> {
    pub(crate) daemon: Arc<Daemon>,
    pub(crate) wanted: Wanted<'a>,
    /// The host that the node name names.
    pub(crate) host: Option<&'a HostAddr>,
    pub(crate) port: Port<'a>,
    pub(crate) family: Family,
}

/// Where the distribution port comes from.
pub(crate) enum Port<'a> {
    /// From the container, for the node of this name.
    Of(&'a str),
    Given(u16),
}

/// What one look at a container gave.
pub(crate) enum Sight {
    Ready(Found),
    /// Nothing yet, but it may come within this time.
    NotYet(Error, Option<Duration>),
}

/// Looks from this machine.
#[derive(Debug)]
pub(crate) struct Lookout {
    settings: Arc<Settings>,
    interfaces: Interfaces,
}

impl Lookout {
    pub(crate) fn new(settings: Arc<Settings>) -> Self {
        Self {
            settings,
            interfaces: Interfaces::default(),
        }
    }

    /// Looks once. `known` is the container that an earlier look has found, and
    /// is set where it is worth looking again.
    pub(crate) async fn look(
        &self,
        target: &Target<'_>,
        known: &mut Option<Arc<Container>>,
    ) -> Result<Sight, Error> {
        let daemon = &target.daemon;
        // The first look may have been a long search; the id is enough now.
        let again = match known.take() {
            Some(container) => reinspect(daemon, &container.id).await?,
            None => None,
        };
        let mut container = match again {
            Some(container) => container,
            None => find(daemon, &target.wanted, self.settings.network.as_deref()).await?,
        };
        if let Some(state) = container.not_running() {
            *known = Some(container);
            return not_running(state);
        }
        if let Some(other) = container.network_host() {
            match find(daemon, &Wanted::Ref(&other), None).await {
                Ok(other) => Arc::make_mut(&mut container).join(&other),
                Err(Error::NoSuchContainer) => return Err(Error::NoNetwork(Vec::new())),
                Err(error) => return Err(error),
            }
        }
        let (port, _) = self.port(target, &container);
        match (self.way(target, &container, port).await, port) {
            (Ok(way), _) => Ok(Sight::Ready(found(way, &container, daemon))),
            (
                Err(error @ (Error::NotPublished(_) | Error::NoNetwork(_))),
                DistPort::Known(port),
            ) if container.is_about_to_publish(port) => {
                *known = Some(container);
                Ok(Sight::NotYet(error, None))
            }
            (Err(error), _) => Err(error),
        }
    }

    /// The way to a container that runs, from what was known of it without
    /// asking anybody. `view` gives our own addresses, not older than this.
    pub(crate) fn recall(
        &self,
        target: &Target<'_>,
        known: impl Fn(&Wanted<'_>) -> Option<Arc<Container>>,
        view: impl Fn(Duration) -> Option<Arc<View>>,
    ) -> Option<Found> {
        let mut container = known(&target.wanted)?;
        if let Some(other) = container.network_host() {
            let other = known(&Wanted::Ref(&other))?;
            Arc::make_mut(&mut container).join(&other);
        }
        let (port, _) = self.port(target, &container);
        let host = known_host(target)?;
        let way = self.choose(target, &container, port, host, view)?.ok()?;
        Some(found(way, &container, &target.daemon))
    }

    /// Our own addresses, read anew if need be.
    pub(crate) fn view(&self, max_age: Duration) -> Option<Arc<View>> {
        Some(self.interfaces.view(max_age))
    }

    /// Whether this is the Docker host, and no container.
    pub(crate) fn is_on_host(&self) -> bool {
        self.interfaces.view(MAX_AGE).on_host
    }

    /// Our own addresses, if they were read a moment ago.
    pub(crate) fn recent_view(&self, max_age: Duration) -> Option<Arc<View>> {
        self.interfaces.recent(max_age)
    }

    pub(crate) fn port(
        &self,
        target: &Target<'_>,
        container: &Container,
    ) -> (DistPort, PortSource) {
        match target.port {
            Port::Of(name) => dist_port(container, name, target.host.is_some(), &self.settings),
            Port::Given(port) => (DistPort::Known(port), PortSource::Given),
        }
    }

    pub(crate) fn vantage<'a>(
        &'a self,
        target: &Target<'_>,
        host: Option<IpAddr>,
        host_name: &'a str,
        view: &'a View,
    ) -> Vantage<'a> {
        Vantage {
            settings: &self.settings,
            family: target.family,
            view,
            on_host: target.host.is_some(),
            local: is_local(&target.daemon, host, view),
            host,
            host_name,
        }
    }

    async fn way(
        &self,
        target: &Target<'_>,
        container: &Container,
        port: DistPort,
    ) -> Result<Way, Error> {
        let host = host_address(target).await?;
        let way = self.choose(target, container, port, host, |age| self.view(age));
        way.unwrap_or(Err(Error::Cancelled))
    }

    /// `None` where there is no view of the age that it takes.
    fn choose(
        &self,
        target: &Target<'_>,
        container: &Container,
        port: DistPort,
        host: Option<IpAddr>,
        view: impl Fn(Duration) -> Option<Arc<View>>,
    ) -> Option<Result<Way, Error>> {
        let host_name = host_name(target);
        let from = |view: &View| {
            let vantage = self.vantage(target, host, &host_name, view);
            route(container, port, &vantage)
        };
        let mut way = from(&*view(MAX_AGE)?);
        let own = |way: &Way| way.via != Via::Published;
        let in_doubt = target.host.is_none() && self.settings.address != AddressMode::Published;
        if in_doubt && !way.as_ref().is_ok_and(own) {
            // No network matched: we may have joined one a moment ago.
            way = from(&*view(MAX_AGE_IN_DOUBT)?);
        }
        Some(match (way, target.host) {
            (Ok(way), Some(name)) => self.permitted(way.address, host, name).map(|()| way),
            (way, _) => way,
        })
    }

    /// A daemon of another host says where its containers are; it does not
    /// get to send us to a host that the user has not allowed.
    pub(crate) fn permitted(
        &self,
        address: IpAddr,
        host: Option<IpAddr>,
        name: &HostAddr,
    ) -> Result<(), Error> {
        let name = match name {
            HostAddr::Name(name) if Some(address) == host => Some(name.as_str()),
            _ => None,
        };
        if self.settings.allowed_hosts.allows(address, name) {
            Ok(())
        } else {
            Err(Error::HostNotAllowed(address.to_string()))
        }
    }
}

/// Which states pass by themselves, and how fast.
fn not_running(state: ContainerState) -> Result<Sight, Error> {
    let error = Error::NotRunning(state);
    match state {
        ContainerState::Created | ContainerState::Restarting => Ok(Sight::NotYet(error, None)),
        ContainerState::Exited | ContainerState::Removing | ContainerState::Dead => {
            Ok(Sight::NotYet(error, Some(RESTART)))
        }
        ContainerState::Paused | ContainerState::Unknown => Err(error),
    }
}

fn found(way: Way, container: &Container, daemon: &Daemon) -> Found {
    Found {
        address: way.address,
        port: way.port,
        via: way.via,
        stale: false,
        container: info(container, daemon),
    }
}

pub(crate) fn info(container: &Container, daemon: &Daemon) -> ContainerInfo {
    ContainerInfo {
        id: container.id.clone(),
        name: container.name.to_string(),
        hostname: container.config.hostname.to_string(),
        daemon: daemon.link.spot().text.clone(),
    }
}
