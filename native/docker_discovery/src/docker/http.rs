//! One HTTP request: sent, tried once more on a fresh connection if the pooled
//! one had gone stale, and its answer read within bounds.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Incoming};
use hyper::{Response, Uri};
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::Semaphore;

use super::endpoint::{Authority, Endpoint};
use super::events::EventTime;
use super::transport::{Connector, Link};
use super::version::ApiVersion;
use crate::errno::Errno;
use crate::error::Error;
use crate::index::Mark;
use crate::settings::Limits;

/// Idle connections kept per daemon: as many as a search uses at a time.
const MAX_IDLE: usize = 16;
/// Of the body of an error only the first sentence is of interest.
const MAX_ERROR_BODY: u64 = 64 << 10;
/// What is reserved at most before a daemon has sent anything.
const MAX_RESERVED: u64 = 64 << 10;
/// Characters of a daemon's error text that are handed on.
const MAX_MESSAGE: usize = 256;

/// A good answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) api_version: Option<ApiVersion>,
    /// The daemon's clock, in whole seconds and a second back.
    pub(crate) date: Option<EventTime>,
    /// The index when it was asked.
    pub(crate) asked_at: Mark,
    pub(crate) body: Bytes,
}

/// The requests to one daemon, each in its turn.
pub(crate) struct Http {
    link: Arc<Link>,
    pooled: Client<Connector, Empty<Bytes>>,
    /// Keeps no connection, so it can never meet a stale one.
    fresh: Client<Connector, Empty<Bytes>>,
    turns: Semaphore,
    requests: AtomicU64,
}

/// Why there is no response.
enum Failure {
    /// The connection broke before the response began.
    Stale,
    Final(Error),
}

impl Http {
    pub(crate) fn new(link: &Arc<Link>, limits: &Limits) -> Self {
        let client = |idle| {
            Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(limits.pool_idle)
                .pool_max_idle_per_host(idle)
                // hyper's own retry may take the next stale connection.
                .retry_canceled_requests(false)
                .build(Connector(Arc::clone(link)))
        };
        Self {
            pooled: client(MAX_IDLE),
            fresh: client(0),
            link: Arc::clone(link),
            turns: Semaphore::new(limits.max_in_flight.clamp(1, Semaphore::MAX_PERMITS)),
            requests: AtomicU64::new(0),
        }
    }

    /// Requests sent so far.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    /// The answer to a GET, of at most `limit` bytes. Any status but 2xx is an
    /// error; a redirect is not followed.
    pub(crate) async fn get(&self, path: &str, limit: u64) -> Result<Reply, Error> {
        let _turn = self.turns.acquire().await.map_err(|_| Error::Cancelled)?;
        let uri = self.uri(path).await?;
        let response = match self.send(&self.pooled, uri.clone()).await {
            Err(Failure::Stale) => self.send(&self.fresh, uri).await,
            sent => sent,
        };
        match response {
            Ok(response) => receive(response, limit).await,
            Err(Failure::Stale) => Err(self.link.failed(Errno::Econnreset)),
            Err(Failure::Final(error)) => Err(error),
        }
    }

    /// Whether anybody answers a GET, and be it with an error.
    pub(crate) async fn knock(&self, path: &str) -> Result<(), Error> {
        self.aside(path).await.map(drop)
    }

    /// The body of a GET that has no end.
    pub(crate) async fn open(&self, path: &str) -> Result<Incoming, Error> {
        let response = self.aside(path).await?;
        match response.status().is_success() {
            true => Ok(response.into_body()),
            false => Err(refused(response).await),
        }
    }

    /// On a connection of its own, and out of turn.
    async fn aside(&self, path: &str) -> Result<Response<Incoming>, Error> {
        match self.send(&self.fresh, self.uri(path).await?).await {
            Ok(response) => Ok(response),
            Err(Failure::Stale) => Err(self.link.failed(Errno::Econnreset)),
            Err(Failure::Final(error)) => Err(error),
        }
    }

    async fn uri(&self, path: &str) -> Result<Uri, Error> {
        let uri = match &self.link.locate().await?.endpoint {
            // Go's server refuses a request whose Host header is no host.
            Endpoint::Unix(_) => format!("http://docker{path}"),
            Endpoint::Tcp { host, port } => format!("http://{}{path}", Authority(host, *port)),
        };
        uri.parse().map_err(|_| self.link.failed(Errno::Einval))
    }

    async fn send(
        &self,
        client: &Client<Connector, Empty<Bytes>>,
        uri: Uri,
    ) -> Result<Response<Incoming>, Failure> {
        self.requests.fetch_add(1, Relaxed);
        client.get(uri).await.map_err(|error| self.failure(&error))
    }

    fn failure(&self, error: &ClientError) -> Failure {
        if let Some(error) = self.link.tls_ended() {
            return Failure::Final(error);
        }
        let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
        while let Some(error) = cause {
            if let Some(own) = error.downcast_ref::<Error>() {
                return Failure::Final(own.clone());
            }
            if let Some(http) = error.downcast_ref::<hyper::Error>() {
                if http.is_parse() {
                    let detail = format!("not HTTP: {http}");
                    return Failure::Final(Error::BadResponse(detail));
                }
                if http.is_canceled() || http.is_closed() || http.is_incomplete_message() {
                    return Failure::Stale;
                }
            }
            if let Some(error) = error.downcast_ref::<io::Error>() {
                return match Errno::from(error) {
                    Errno::Econnreset => Failure::Stale,
                    errno => Failure::Final(self.link.failed(errno)),
                };
            }
            cause = error.source();
        }
        Failure::Final(self.link.failed(Errno::Eio))
    }
}

async fn receive(response: Response<Incoming>, limit: u64) -> Result<Reply, Error> {
    if !response.status().is_success() {
        return Err(refused(response).await);
    }
    let header = |name: &str| response.headers().get(name)?.to_str().ok();
    let api_version = header("api-version").and_then(|text| ApiVersion::parse(text).ok());
    let date = header("date").and_then(EventTime::parse_date);
    let body = collect(response.into_body(), limit).await?;
    Ok(Reply {
        api_version,
        date,
        asked_at: Mark::default(),
        body,
    })
}

async fn refused(response: Response<Incoming>) -> Error {
    let code = response.status().as_u16();
    // What counts is the status; a text that cannot be had is no text.
    let body = collect(response.into_body(), MAX_ERROR_BODY).await;
    Error::Status {
        code,
        message: message(&body.unwrap_or_default()),
    }
}

async fn collect(mut body: Incoming, limit: u64) -> Result<Bytes, Error> {
    let announced = body.size_hint().lower();
    if announced > limit {
        return Err(Error::TooLarge(limit));
    }
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| cut_off())?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let length = (first.len().max(rest.len()) + data.len()) as u64;
        if length > limit {
            return Err(Error::TooLarge(limit));
        }
        // Most answers are one frame, which is then not copied.
        if first.is_empty() && rest.is_empty() {
            first = data;
        } else {
            if rest.is_empty() {
                rest.reserve(announced.clamp(length, MAX_RESERVED.max(length)) as usize);
                rest.extend_from_slice(&first);
            }
            rest.extend_from_slice(&data);
        }
    }
    Ok(if rest.is_empty() {
        first
    } else {
        rest.freeze()
    })
}

fn cut_off() -> Error {
    Error::BadResponse("the connection broke in the middle of the body".to_owned())
}

/// Docker's own words: a "message" in JSON, or plain text.
fn message(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Message {
        message: String,
    }
    let text = match serde_json::from_slice::<Message>(body) {
        Ok(json) => json.message,
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    text.trim()
        .chars()
        .filter(|character| !character.is_control())
        .take(MAX_MESSAGE)
        .collect()
}
