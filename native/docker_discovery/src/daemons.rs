//! The daemons of a resolver: the user's own, and those of the hosts that node
//! names have named.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::allowed_hosts::AllowedHosts;
use crate::docker::DaemonInfo;
use crate::docker::client::Daemon;
use crate::docker::endpoint::Endpoint;
use crate::docker::locator::{Origin, Spot};
use crate::docker::place::Place;
use crate::docker::transport::Link;
use crate::error::Error;
use crate::host_addr::HostAddr;
use crate::notice::{Notice, Notices};
use crate::settings::Settings;
use crate::sync::lock;
use crate::watch::{self, Rules};

#[derive(Debug)]
pub(crate) struct Daemons {
    settings: Arc<Settings>,
    guard: Arc<AllowedHosts>,
    /// How daemons are watched, if they are: the user's own, and others.
    rules: Option<(Rules, Rules)>,
    own: Arc<Daemon>,
    others: Mutex<Others>,
    notices: Notices,
}

/// Node names can be made up at will, so these are bounded.
#[derive(Debug, Default)]
struct Others {
    by_endpoint: HashMap<Endpoint, (u64, Arc<Daemon>)>,
    uses: u64,
}

impl Daemons {
    pub(crate) fn new(settings: Arc<Settings>) -> Self {
        let notices = Notices::default();
        let own = daemon(&settings, own_place(&settings), None, &notices);
        Self {
            own: Arc::new(own),
            guard: Arc::new(settings.allowed_hosts.clone()),
            rules: settings.watch.map(|refresh| {
                let rules = |idle| Rules { refresh, idle };
                (rules(None), rules(Some(settings.limits.watch_idle)))
            }),
            others: Mutex::default(),
            notices,
            settings,
        }
    }

    /// The user's own daemon.
    pub(crate) fn own(&self) -> Arc<Daemon> {
        self.own.watch.touch();
        if let Some((rules, _)) = &self.rules {
            watch::ensure(&self.own, rules);
        }
        self.own_as_it_is()
    }

    /// The same without beginning to watch it: needs no runtime.
    pub(crate) fn own_as_it_is(&self) -> Arc<Daemon> {
        Arc::clone(&self.own)
    }

    /// Looks where the user's own daemon is, if nobody has yet: it may be the
    /// one of the host in a node name.
    pub(crate) async fn locate_own(&self) {
        self.own.link.locate_once().await;
    }

    /// The daemon of a host that a node name names. The user's own daemon is
    /// always allowed, another one's host must be in `allowed_hosts`: a literal
    /// is checked here, what a name resolves to is checked before a connect.
    pub(crate) fn on_host(&self, host: &HostAddr) -> Result<Arc<Daemon>, Error> {
        let endpoint = self.endpoint(host);
        if endpoint == self.own.link.spot().endpoint {
            return Ok(self.own());
        }
        if let HostAddr::Ip(ip) = host
            && !self.guard.allows(*ip, None)
        {
            return Err(Error::HostNotAllowed(host.to_string()));
        }
        let mut others = lock(&self.others);
        others.uses += 1;
        let now = others.uses;
        if let Some((used, daemon)) = others.by_endpoint.get_mut(&endpoint) {
            *used = now;
            self.ensure(daemon);
            return Ok(Arc::clone(daemon));
        }
        others.make_room(self.settings.limits.max_daemons)?;
        let guard = Some(Arc::clone(&self.guard));
        let spot = Spot::new(endpoint.clone(), Origin::NodeName);
        let place = Place::given(spot.with_tls(self.settings.remote_tls.as_ref()));
        let daemon = daemon(&self.settings, place, guard, &self.notices);
        let daemon = Arc::new(daemon);
        self.ensure(&daemon);
        others
            .by_endpoint
            .insert(endpoint, (now, Arc::clone(&daemon)));
        Ok(daemon)
    }

    /// The daemon of that host if it was asked before. Never waits.
    pub(crate) fn known_on_host(&self, host: &HostAddr) -> Option<Arc<Daemon>> {
        let endpoint = self.endpoint(host);
        if endpoint == self.own.link.spot().endpoint {
            return Some(self.own_as_it_is());
        }
        let others = self.others.try_lock().ok()?;
        let (_, daemon) = others.by_endpoint.get(&endpoint)?;
        Some(Arc::clone(daemon))
    }

    fn endpoint(&self, host: &HostAddr) -> Endpoint {
        Endpoint::Tcp {
            host: host.clone(),
            port: self.settings.daemon_port,
        }
    }

    fn ensure(&self, daemon: &Arc<Daemon>) {
        daemon.watch.touch();
        if let Some((_, rules)) = &self.rules {
            watch::ensure(daemon, rules);
        }
    }

    /// Who is told of what happens to daemons.
    pub(crate) fn listen(&self, tell: impl Fn(&str, &Notice) + Send + Sync + 'static) {
        self.notices.listen(Box::new(tell));
    }

    /// All of them, the user's own first.
    pub(crate) fn info(&self) -> Vec<DaemonInfo> {
        let others = lock(&self.others);
        let mut info: Vec<_> = others
            .by_endpoint
            .values()
            .map(|(_, one)| one.info())
            .collect();
        info.sort_by_key(|one| one.endpoint.to_string());
        info.insert(0, self.own.info());
        info
    }
}

/// A watch holds on to its daemon.
impl Drop for Daemons {
    fn drop(&mut self) {
        self.own.watch.stop();
        let others = lock(&self.others);
        let others = others.by_endpoint.values();
        others.for_each(|(_, daemon)| daemon.watch.stop());
    }
}

impl Others {
    /// Forgets the daemon that is longest out of use, if there is no room.
    fn make_room(&mut self, max: usize) -> Result<(), Error> {
        if self.by_endpoint.len() < max {
            return Ok(());
        }
        let idle = |(_, (_, daemon)): &(&Endpoint, &(u64, Arc<Daemon>))| daemon.is_idle();
        let oldest = self
            .by_endpoint
            .iter()
            .filter(idle)
            .min_by_key(|(_, (used, _))| *used)
            .map(|(endpoint, _)| endpoint.clone());
        match oldest.and_then(|endpoint| self.by_endpoint.remove(&endpoint)) {
            Some((_, daemon)) => {
                daemon.watch.stop();
                Ok(())
            }
            None => Err(Error::Busy),
        }
    }
}

fn own_place(settings: &Settings) -> Place {
    let default = settings.docker_host.clone();
    match &settings.locator {
        Some(locator) => Place::located_by(locator.clone(), default),
        None => Place::given(Spot::new(default, Origin::Setting).with_tls(settings.tls.as_ref())),
    }
}

fn daemon(
    settings: &Settings,
    place: Place,
    guard: Option<Arc<AllowedHosts>>,
    notices: &Notices,
) -> Daemon {
    let link = Link::new(place, guard, settings.limits.connect_timeout);
    Daemon::new(link, &settings.limits, settings.api_version, notices)
}
