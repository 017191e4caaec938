//! One lookup: from a node name to an address and a port.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::breaker;
use crate::daemons::Daemons;
use crate::docker::DaemonInfo;
use crate::docker::container::Container;
use crate::docker::find::Wanted;
use crate::error::Error;
use crate::found::{Family, Found};
use crate::host_addr::HostAddr;
use crate::look::{Lookout, Port, Sight, Target};
use crate::node_name::{ContainerRef, NodeName, Scheme};
use crate::notice::Notice;
use crate::settings::Settings;

/// A container that is just starting is asked about again after this, then
/// after twice that.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// Finds nodes through Docker. Share it in an `Arc`.
#[derive(Debug)]
pub struct Resolver {
    settings: Arc<Settings>,
    pub(crate) daemons: Daemons,
    pub(crate) lookout: Lookout,
}

impl Resolver {
    /// Does no IO and needs no runtime.
    pub fn new(settings: Settings) -> Self {
        let settings = Arc::new(settings);
        Self {
            daemons: Daemons::new(Arc::clone(&settings)),
            lookout: Lookout::new(Arc::clone(&settings)),
            settings,
        }
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether a node name may make us contact this address, to which the host
    /// of this name leads, if it has one.
    pub fn allows(&self, ip: IpAddr, name: Option<&str>) -> bool {
        self.settings.allowed_hosts.allows(ip, name)
    }

    /// The daemons that were asked so far, the local one first.
    pub fn daemons(&self) -> Vec<DaemonInfo> {
        self.daemons.info()
    }

    /// Where a node is. A name that is not Docker's is
    /// [`Error::NoSuchContainer`] at once. Must be called on a tokio runtime;
    /// to drop the future is to give the work up.
    pub async fn lookup(
        &self,
        node: &NodeName,
        family: Family,
        timeout: Duration,
    ) -> Result<Found, Error> {
        let deadline = deadline(timeout);
        let scheme = node.scheme();
        if let Scheme::OnHost { .. } = scheme {
            self.daemons.locate_own().await;
        }
        let target = self.target(node, &scheme, family)?;
        self.find(&target, deadline).await
    }

    /// What to look for, and at which daemon.
    pub(crate) fn target<'a>(
        &self,
        node: &'a NodeName,
        scheme: &'a Scheme,
        family: Family,
    ) -> Result<Target<'a>, Error> {
        match scheme {
            Scheme::OnHost { id, host } => {
                let daemon = self.daemons.on_host(host)?;
                // OTP does not select a protocol for a literal of another family.
                if let HostAddr::Ip(ip) = host
                    && !family.has(*ip)
                {
                    return Err(Error::NoHostAddress(node.host().to_owned()));
                }
                Ok(Target {
                    daemon,
                    wanted: Wanted::Id(id),
                    host: Some(host),
                    port: Port::Of(node.name()),
                    family,
                })
            }
            Scheme::InContainer { name, container } => {
                Ok(self.local(container, Port::Of(name), family))
            }
            Scheme::Other => Err(Error::NoSuchContainer),
        }
    }

    /// Begins to watch the local daemon, where daemons are watched. Must be
    /// called on a tokio runtime.
    pub fn begin(&self) {
        self.daemons.own();
    }

    /// What is known of a node has led nowhere: it is asked for again.
    pub fn doubt(&self, node: &NodeName) {
        let scheme = node.scheme();
        if let Some(target) = self.target_as_it_is(node, &scheme, Family::Inet) {
            target.daemon.known.doubt(&target.wanted);
            target.daemon.watch.wake();
        }
    }

    /// Where a node is, if that is known for sure without asking anybody.
    /// Needs no runtime and never waits. `scheme` is the node's.
    pub fn peek(&self, node: &NodeName, scheme: &Scheme, family: Family) -> Option<Found> {
        self.settings.watch?;
        let target = self.target_as_it_is(node, scheme, family)?;
        target.daemon.watch.touch();
        let known = |wanted: &Wanted<'_>| target.daemon.known.try_get(wanted);
        let view = |max_age| self.lookout.recent_view(max_age);
        self.lookout.recall(&target, known, view)
    }

    /// Has `tell` called with what happens to daemons by itself, and with the
    /// daemon's endpoint: on the runtime's thread, where it must not wait.
    pub fn listen(&self, tell: impl Fn(&str, &Notice) + Send + Sync + 'static) {
        self.daemons.listen(tell);
    }

    /// Where `port` of a container of the local daemon is.
    pub async fn locate(
        &self,
        container: &ContainerRef,
        port: u16,
        family: Family,
        timeout: Duration,
    ) -> Result<Found, Error> {
        let deadline = deadline(timeout);
        let target = self.local(container, Port::Given(port), family);
        self.find(&target, deadline).await
    }

    fn local<'a>(&self, container: &'a ContainerRef, port: Port<'a>, family: Family) -> Target<'a> {
        Target {
            daemon: self.daemons.own(),
            wanted: Wanted::Ref(container),
            host: None,
            port,
            family,
        }
    }

    /// What is looked for, if its daemon was asked before. Never waits.
    fn target_as_it_is<'a>(
        &self,
        node: &'a NodeName,
        scheme: &'a Scheme,
        family: Family,
    ) -> Option<Target<'a>> {
        match scheme {
            Scheme::OnHost { id, host } => Some(Target {
                daemon: self.daemons.known_on_host(host)?,
                wanted: Wanted::Id(id),
                host: Some(host),
                port: Port::Of(node.name()),
                family,
            }),
            Scheme::InContainer { name, container } => Some(Target {
                daemon: self.daemons.own_as_it_is(),
                wanted: Wanted::Ref(container),
                host: None,
                port: Port::Of(name),
                family,
            }),
            Scheme::Other => None,
        }
    }

    /// From memory, else from the daemon, else from what was last known.
    async fn find(&self, target: &Target<'_>, deadline: Instant) -> Result<Found, Error> {
        let known = &target.daemon.known;
        let view = |max_age| self.lookout.view(max_age);
        if let Some(found) = self
            .lookout
            .recall(target, |wanted| known.get(wanted), view)
        {
            return Ok(found);
        }
        if known.is_absent(&target.wanted) {
            return Err(Error::NoSuchContainer);
        }
        let asked_at = known.mark();
        let asked = self.ask(target, deadline).await;
        if let Err(Error::NoSuchContainer) = asked {
            known.learn_absent(asked_at, &target.wanted);
        }
        let Err(
            error @ (Error::Connect { .. }
            | Error::Tls { .. }
            | Error::Context { .. }
            | Error::Timeout),
        ) = asked
        else {
            return asked;
        };
        let old = self
            .lookout
            .recall(target, |wanted| known.last_known(wanted), view);
        let old = old.map(|found| Found {
            stale: true,
            ..found
        });
        old.ok_or(error)
    }

    /// Looks until the container is ready, cannot become so, or the time is up.
    async fn ask(&self, target: &Target<'_>, deadline: Instant) -> Result<Found, Error> {
        let mut pause = FIRST_PAUSE;
        let mut container: Option<Arc<Container>> = None;
        let mut last_error: Option<Error> = None;
        let mut stopped_since: Option<Instant> = None;
        loop {
            let look = self.lookout.look(target, &mut container);
            let sight = match breaker::wait(&target.daemon, deadline, look).await {
                Err(Error::Timeout) => return Err(last_error.unwrap_or(Error::Timeout)),
                sight => sight?,
            };
            let (error, until) = match sight {
                Sight::Ready(found) => return Ok(found),
                Sight::NotYet(error, None) => {
                    stopped_since = None;
                    (error, deadline)
                }
                Sight::NotYet(error, Some(at_most)) => {
                    let since = *stopped_since.get_or_insert_with(Instant::now);
                    (error, deadline.min(since + at_most))
                }
            };
            if Instant::now() + pause >= until {
                return Err(error);
            }
            last_error = Some(error);
            sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }
}

/// A timeout beyond what the clock can hold is no timeout.
pub(crate) fn deadline(timeout: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(timeout)
        .unwrap_or(now + Duration::from_secs(1 << 30))
}
