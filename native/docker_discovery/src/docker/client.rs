//! One Docker daemon: its version, the bounds on what is asked of it at a time,
//! and what is known of it.

use std::fmt;
use std::sync::{Arc, Mutex};

use super::flights::{Answer, Flights};
use super::http::Http;
use super::transport::Link;
use super::version::ApiVersion;
use super::{DaemonInfo, DaemonState};
use crate::error::Error;
use crate::settings::Limits;
use crate::sync::lock;

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
    state: Arc<Mutex<DaemonState>>,
}

impl Daemon {
    /// Does no IO.
    pub(crate) fn new(link: Link, limits: &Limits, fixed_version: Option<ApiVersion>) -> Self {
        let link = Arc::new(link);
        let seats = limits.max_in_flight.saturating_add(limits.max_waiting);
        Self {
            http: Arc::new(Http::new(&link, limits)),
            flights: Arc::new(Flights::new(seats)),
            link,
            limits: limits.clone(),
            fixed_version,
            version: Mutex::new(None),
            state: Arc::new(Mutex::new(DaemonState::Unknown)),
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
        let version = match self.fetch("/_ping".to_owned(), MAX_PING).await {
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

    async fn fetch(&self, path: String, limit: u64) -> Answer {
        let (http, state, asked) = (
            Arc::clone(&self.http),
            Arc::clone(&self.state),
            path.clone(),
        );
        let request = async move {
            let answer = http.get(&asked, limit).await;
            *lock(&state) = match &answer {
                Err(
                    error @ (Error::Connect { .. } | Error::Tls { .. } | Error::HostNotAllowed(_)),
                ) => DaemonState::Down(error.clone()),
                _ => DaemonState::Up,
            };
            answer
        };
        self.flights.ask(path, request).await
    }

    /// A lookup ran out of time waiting for it.
    pub(crate) fn was_silent(&self) {
        *lock(&self.state) = DaemonState::Down(Error::Timeout);
    }

    /// What is known of it.
    pub(crate) fn info(&self) -> DaemonInfo {
        let version = lock(&self.version).flatten();
        DaemonInfo {
            endpoint: self.link.endpoint.clone(),
            state: lock(&self.state).clone(),
            api_version: self.fixed_version.or(version),
            requests: self.http.requests(),
            coalesced: self.flights.coalesced(),
            in_flight: self.flights.count(),
            reconnects: self.link.connects().saturating_sub(1),
        }
    }
}

impl fmt::Debug for Daemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Daemon({})", self.link.text)
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
