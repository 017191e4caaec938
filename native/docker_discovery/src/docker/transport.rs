//! How bytes get to a daemon: unix sockets and TCP, with TLS or without.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::endpoint::Endpoint;
use super::host_names::{HostName, Names, system};
use super::locator::Spot;
use super::place::Place;
use super::tls::{SessionError, Tls};
use crate::allowed_hosts::AllowedHosts;
use crate::errno::Errno;
use crate::error::Error;
use crate::host_addr::HostAddr;
use crate::sync::lock;

/// A byte stream to a daemon.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

pub(crate) type Stream = Box<dyn Io>;

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

/// The way to one daemon, and what was learnt on it.
pub(crate) struct Link {
    place: Place,
    /// Set where the endpoint comes from a node name, and not from the user.
    guard: Option<Arc<AllowedHosts>>,
    names: Names,
    connect_timeout: Duration,
    connects: AtomicU64,
    peer: Mutex<Option<IpAddr>>,
    host_name: Arc<HostName>,
}

impl Link {
    pub(crate) fn new(
        place: Place,
        guard: Option<Arc<AllowedHosts>>,
        connect_timeout: Duration,
    ) -> Self {
        Self {
            place,
            guard,
            names: system,
            connect_timeout,
            connects: AtomicU64::new(0),
            peer: Mutex::new(None),
            host_name: Arc::default(),
        }
    }

    /// Why TLS ended a connection that had come about.
    pub(crate) fn tls_ended(&self) -> Option<Error> {
        let fault = self.spot().tls.as_ref()?.take_fault()?;
        Some(self.no_session(SessionError::Tls(fault)))
    }

    /// Where the daemon is, as far as that is known.
    pub(crate) fn spot(&self) -> Arc<Spot> {
        self.place.spot()
    }

    /// Where to connect to: looks for it where that is not settled.
    pub(crate) async fn locate(&self) -> Result<Arc<Spot>, Error> {
        self.place.locate(self.connect_timeout).await
    }

    /// The same once, for those who only want to know.
    pub(crate) async fn locate_once(&self) {
        self.place.locate_once(self.connect_timeout).await;
    }

    /// What the user should know of how it was located; once.
    pub(crate) fn take_notice(&self) -> Option<Error> {
        self.place.take_notice()
    }

    /// How many connections were made so far.
    pub(crate) fn connects(&self) -> u64 {
        self.connects.load(Relaxed)
    }

    /// The address of the last TCP connection.
    pub(crate) fn peer(&self) -> Option<IpAddr> {
        *lock(&self.peer)
    }

    /// The addresses of the daemon's host: none for a unix socket. Every one
    /// of them has passed `allowed_hosts`.
    pub(crate) async fn addresses(&self) -> Result<Vec<IpAddr>, Error> {
        let spot = self.spot();
        let Endpoint::Tcp { host, port } = &spot.endpoint else {
            return Ok(Vec::new());
        };
        let (found, name) = match host {
            HostAddr::Ip(ip) => (vec![*ip], None),
            HostAddr::Name(name) => {
                let found = self.host_name.resolve(self.names, name, *port).await;
                (
                    found.map_err(|errno| self.failed(errno))?,
                    Some(name.as_str()),
                )
            }
        };
        match &self.guard {
            Some(guard) if !found.iter().all(|ip| guard.allows(*ip, name)) => {
                Err(Error::HostNotAllowed(host.to_string()))
            }
            _ => Ok(found),
        }
    }

    pub(crate) fn failed(&self, errno: Errno) -> Error {
        Error::Connect {
            endpoint: self.spot().text.clone(),
            errno,
        }
    }

    fn no_session(&self, error: SessionError) -> Error {
        match error {
            SessionError::Network(errno) => self.failed(errno),
            SessionError::Tls(fault) => Error::Tls {
                endpoint: self.spot().text.clone(),
                fault,
            },
        }
    }

    async fn connect(&self) -> Result<Stream, Error> {
        let spot = self.spot();
        let stream = self.stream(&spot).await;
        self.place.connected(stream.is_ok());
        if stream.is_ok() {
            self.connects.fetch_add(1, Relaxed);
        }
        stream
    }

    async fn stream(&self, spot: &Spot) -> Result<Stream, Error> {
        Ok(match (&spot.endpoint, &spot.tls) {
            (Endpoint::Unix(path), _) => Box::new(self.unix(path).await?),
            (Endpoint::Tcp { port, .. }, None) => {
                Box::new(self.tcp(&self.addresses().await?, *port).await?)
            }
            (Endpoint::Tcp { host, port }, Some(tls)) => self.secure(tls, host, *port).await?,
        })
    }

    async fn unix(&self, path: &Path) -> Result<UnixStream, Error> {
        self.in_time(UnixStream::connect(path)).await
    }

    async fn tcp(&self, addresses: &[IpAddr], port: u16) -> Result<TcpStream, Error> {
        let mut error = self.failed(Errno::Nxdomain);
        for ip in addresses {
            match self
                .in_time(TcpStream::connect(SocketAddr::new(*ip, port)))
                .await
            {
                Ok(stream) => {
                    // Without it a request may wait 40 ms for an ACK; with an
                    // error it is only slower.
                    let _ = stream.set_nodelay(true);
                    let _ = SockRef::from(&stream).set_tcp_keepalive(&keepalive());
                    *lock(&self.peer) = Some(*ip);
                    return Ok(stream);
                }
                Err(failed) => error = failed,
            }
        }
        Err(error)
    }

    /// What is wrong with our own files is known before anybody is contacted.
    async fn secure(&self, tls: &Tls, host: &HostAddr, port: u16) -> Result<Stream, Error> {
        let addresses = self.addresses().await?;
        let limit = self.connect_timeout;
        let failed = |error| self.no_session(error);
        let credentials = tls.load(limit).await.map_err(failed)?;
        let stream = self.tcp(&addresses, port).await?;
        let session = tls.handshake(&credentials, host, stream, limit).await;
        Ok(Box::new(session.map_err(failed)?))
    }

    async fn in_time<T>(&self, connect: impl Future<Output = io::Result<T>>) -> Result<T, Error> {
        match timeout(self.connect_timeout, connect).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(self.failed(Errno::from(&error))),
            Err(_) => Err(self.failed(Errno::Etimedout)),
        }
    }
}

/// Who follows events may have nothing to say for days: this tells within some
/// seconds that the other host has gone without a word.
fn keepalive() -> TcpKeepalive {
    TcpKeepalive::new()
        .with_time(Duration::from_secs(5))
        .with_interval(Duration::from_secs(3))
        .with_retries(3)
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.spot().text)
    }
}

/// Gives hyper its connections. The URI that hyper names is the one we made up
/// for the pool; the link knows better.
#[derive(Clone)]
pub(crate) struct Connector(pub(crate) Arc<Link>);

impl tower_service::Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let link = Arc::clone(&self.0);
        Box::pin(async move { link.connect().await.map(TokioIo::new) })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
