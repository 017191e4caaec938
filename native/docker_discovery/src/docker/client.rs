//! One Docker daemon: its version, the bounds on what is asked of it at a time,
//! and what is known of it.

use std::fmt;
use std::sync::{Arc, Mutex};

use super::DaemonInfo;
use super::events::{EventTime, Events};
use super::flights::{Answer, Flights};
use super::http::Http;
use super::standing::Standing;
use super::transport::Link;
use super::version::ApiVersion;
use crate::breaker::Breaker;
use crate::error::Error;
use crate::known::Known;
use crate::notice::Notices;
use crate::settings::Limits;
use crate::sync::lock;
use crate::watch::{Rules, Watch};

const PING: &str = "/_ping";
/// A ping is two bytes long; whoever sends more is no daemon.
const MAX_PING: u64 = 4096;

/// A daemon.
pub(crate) struct Daemon {
    pub(crate) link: Arc<Link>,
    pub(crate) limits: Limits,
    http: Arc<Http>,
    flights: Arc<Flights>,
    /// From the settings: then the daemon is not asked.
    fixed_version: Option<ApiVersion>,
    /// None while nothing was negotiated; a daemon that tells none has none.
    version: Mutex<Option<Option<ApiVersion>>>,
    standing: Standing,
    /// What is known of its containers.
    pub(crate) known: Arc<Known>,
    pub(crate) watch: Watch,
    pub(crate) breaker: Breaker,
}

impl Daemon {
    /// Does no IO.
    pub(crate) fn new(
        link: Link,
        limits: &Limits,
        fixed_version: Option<ApiVersion>,
        notices: &Notices,
    ) -> Self {
        let link = Arc::new(link);
        let seats = limits.max_in_flight.saturating_add(limits.max_waiting);
        Self {
            http: Arc::new(Http::new(&link, limits)),
            flights: Arc::new(Flights::new(seats)),
            limits: limits.clone(),
            fixed_version,
            version: Mutex::new(None),
            standing: Standing::new(&link, notices),
            known: Arc::default(),
            watch: Watch::new(notices),
            link,
            breaker: Breaker::default(),
        }
    }

    /// Asks for a path such as `/containers/json`, in the version that the
    /// daemon speaks. The answer has at most `limit` bytes.
    pub(crate) async fn get(&self, path: &str, limit: u64) -> Answer {
        let version = self.version().await?;
        match self.fetch(versioned(version, path), limit).await {
            // Docker says its version with each answer. So a daemon that was exchanged for another
            // one is noticed with the first word on a new connection, and none is asked twice.
            Ok(reply) => {
                if reply.api_version.is_some() && self.fixed_version.is_none() {
                    *lock(&self.version) = Some(reply.api_version);
                }
                Ok(reply)
            }
            // The other one does not speak the version of the first.
            Err(error) if self.fixed_version.is_none() && is_about_version(&error) => {
                match self.negotiate().await? {
                    other if other != version => self.fetch(versioned(other, path), limit).await,
                    _ => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    async fn version(&self) -> Result<Option<ApiVersion>, Error> {
        if self.fixed_version.is_some() {
            return Ok(self.fixed_version);
        }
        let known = *lock(&self.version);
        match known {
            Some(version) => Ok(version),
            None => self.negotiate().await,
        }
    }

    async fn negotiate(&self) -> Result<Option<ApiVersion>, Error> {
        let version = match self.fetch(PING.to_owned(), MAX_PING).await {
            Ok(reply) => reply.api_version,
            // A proxy that lets through too little: paths without a version
            // mean the daemon's own.
            Err(Error::Status {
                code: 403..=405, ..
            }) => None,
            Err(error) => return Err(error),
        };
        *lock(&self.version) = Some(version);
        Ok(version)
    }

    /// Its events from a moment of its own clock on, on a connection of their own.
    pub(crate) async fn events(&self, since: Option<EventTime>) -> Result<Events, Error> {
        let version = self.version().await?;
        let path = versioned(version, &EventTime::path(since));
        let opened = self.http.open(&path).await;
        self.standing.note(opened.as_ref().err());
        opened.map(Events::new)
    }

    /// Its own clock, a second or two ago; none if it does not tell.
    pub(crate) async fn clock(&self) -> Result<Option<EventTime>, Error> {
        match self.fetch(PING.to_owned(), MAX_PING).await {
            Ok(reply) => Ok(reply.date),
            Err(Error::Status { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn fetch(&self, path: String, limit: u64) -> Answer {
        let (http, standing) = (Arc::clone(&self.http), self.standing.clone());
        let (known, asked) = (Arc::clone(&self.known), path.clone());
        let request = async move {
            let asked_at = known.mark();
            let mut answer = http.get(&asked, limit).await;
            standing.note(answer.as_ref().err());
            if let Ok(reply) = &mut answer {
                reply.asked_at = asked_at;
            }
            answer
        };
        let was_down = self.standing.is_down();
        let news = self.known.last_news();
        let answer = self.flights.ask(path, news, request).await;
        if was_down && answer.is_ok() {
            self.watch.wake();
        }
        answer
    }

    /// Whether nothing is asked of it now.
    pub(crate) fn is_idle(&self) -> bool {
        self.flights.count() == 0 && !self.known.has_subscribers()
    }

    /// Whether nobody has wanted anything of it for as long as the rules say.
    pub(crate) fn is_unused(&self, rules: &Rules) -> bool {
        self.watch.is_idle(rules) && !self.known.has_subscribers()
    }

    /// A lookup or a ping has waited for it in vain.
    pub(crate) fn was_silent(&self, error: &Error) {
        self.standing.down(error);
    }

    /// Asks whether it is there, beside everything else.
    pub(crate) async fn ping(&self) -> Result<(), Error> {
        self.http.knock(PING).await
    }

    /// It has answered such a ping after a silence.
    pub(crate) fn is_back(&self) {
        self.standing.up();
        self.watch.wake();
    }

    /// What is known of it.
    pub(crate) fn info(&self) -> DaemonInfo {
        let version = lock(&self.version).flatten();
        let (_, containers, known) = self.known.count();
        let spot = self.link.spot();
        DaemonInfo {
            endpoint: spot.endpoint.clone(),
            origin: spot.origin.clone(),
            state: self.standing.now(),
            tls: spot.tls.is_some(),
            api_version: self.fixed_version.or(version),
            requests: self.http.requests(),
            coalesced: self.flights.coalesced(),
            in_flight: self.flights.count(),
            reconnects: self.link.connects().saturating_sub(1),
            watch: self.watch.state(),
            containers,
            known,
        }
    }
}

impl fmt::Debug for Daemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Daemon({:?})", self.link)
    }
}

fn versioned(version: Option<ApiVersion>, path: &str) -> String {
    match version {
        Some(version) => format!("/v{version}{path}"),
        None => path.to_owned(),
    }
}

/// 20.10 says "client version 1.99 is too new" in JSON and "client version 1.1
/// is too old" as plain text, with status 400; 28.5 the same.
fn is_about_version(error: &Error) -> bool {
    matches!(error, Error::Status { code: 400, message } if message.contains("version"))
}
