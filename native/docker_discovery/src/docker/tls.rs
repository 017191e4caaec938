//! TLS to a daemon: both sides show a certificate, and each checks the other's.
//!
//! The files are read for each connection, so that new ones are in use from
//! the next connection on, and never while a node boots.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::errno::Errno;
use crate::host_addr::HostAddr;
use crate::sync::lock;

mod fault;
mod files;

pub use fault::{TlsFault, TlsRefusal};
pub(crate) use files::Credentials;
pub use files::{FileFault, TlsFiles};

/// Reading a file cannot be cancelled: on a network file system that hangs it
/// holds a thread. These and the name lookups share the runtime's threads.
const MAX_READERS: usize = 2;
static READERS: Semaphore = Semaphore::const_new(MAX_READERS);

/// What TLS to one daemon needs, and what was learnt of it.
pub(crate) struct Tls {
    files: TlsFiles,
    loaded: Mutex<Option<Arc<Credentials>>>,
    /// The last fault of a session that had come about.
    fault: Arc<Mutex<Option<TlsFault>>>,
}

/// The same files are the same TLS.
impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        self.files == other.files
    }
}

impl Eq for Tls {}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.files.fmt(f)
    }
}

impl Tls {
    pub(crate) fn new(files: TlsFiles) -> Self {
        Self {
            files,
            loaded: Mutex::default(),
            fault: Arc::default(),
        }
    }

    /// Why a session ended that had come about. In TLS 1.3 a daemon refuses our
    /// certificate only then.
    pub(crate) fn take_fault(&self) -> Option<TlsFault> {
        lock(&self.fault).take()
    }

    /// The files as they are now, if they can be read in this time.
    pub(crate) async fn load(&self, limit: Duration) -> Result<Arc<Credentials>, SessionError> {
        let unread = TlsFault::File {
            path: self.files.ca.display().to_string(),
            fault: FileFault::Unreadable(Errno::Etimedout),
        };
        let loaded = timeout(limit, self.read()).await;
        loaded.unwrap_or(Err(unread)).map_err(SessionError::Tls)
    }

    async fn read(&self) -> Result<Arc<Credentials>, TlsFault> {
        let gone = |_| TlsFault::Other("the files could not be read".to_owned());
        let permit = READERS.acquire().await.map_err(|_| TlsFault::Timeout)?;
        let (files, before) = (self.files.clone(), lock(&self.loaded).clone());
        let reading = tokio::task::spawn_blocking(move || {
            let loaded = files.load(before);
            drop(permit);
            loaded
        });
        let loaded = reading.await.map_err(gone)??;
        *lock(&self.loaded) = Some(Arc::clone(&loaded));
        Ok(loaded)
    }

    /// Makes a session of a connection to `host`, for which the daemon's
    /// certificate has to be: a name, or an address.
    pub(crate) async fn handshake(
        &self,
        credentials: &Credentials,
        host: &HostAddr,
        stream: TcpStream,
        limit: Duration,
    ) -> Result<Session, SessionError> {
        let shown = credentials.has_certificate;
        let connector = TlsConnector::from(Arc::clone(&credentials.config));
        let connecting = timeout(limit, connector.connect(server_name(host)?, stream)).await;
        match connecting.map_err(|_| SessionError::Tls(TlsFault::Timeout))? {
            Ok(stream) => {
                // Whoever it was about did not ask.
                self.take_fault();
                Ok(Session {
                    stream,
                    shown,
                    fault: Arc::clone(&self.fault),
                })
            }
            Err(error) => Err(match TlsFault::of_handshake(&error, shown) {
                Some(fault) => SessionError::Tls(fault),
                None => SessionError::Network(Errno::from(&error)),
            }),
        }
    }
}

/// Why there is no session.
pub(crate) enum SessionError {
    Tls(TlsFault),
    Network(Errno),
}

fn server_name(host: &HostAddr) -> Result<ServerName<'static>, SessionError> {
    match host {
        HostAddr::Ip(ip) => Ok(ServerName::from(ip.to_canonical())),
        HostAddr::Name(name) => ServerName::try_from(name.clone())
            .map_err(|error| SessionError::Tls(TlsFault::Other(error.to_string()))),
    }
}

/// A session. It notes the fault that ends it, which hyper may hide behind an
/// error of its own.
pub(crate) struct Session {
    stream: TlsStream<TcpStream>,
    shown: bool,
    fault: Arc<Mutex<Option<TlsFault>>>,
}

impl AsyncRead for Session {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = ready!(Pin::new(&mut self.stream).poll_read(context, buffer));
        if let Err(error) = &read
            && let Some(fault) = TlsFault::of_stream(error, self.shown)
        {
            *lock(&self.fault) = Some(fault);
        }
        Poll::Ready(read)
    }
}

impl AsyncWrite for Session {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn asked_for(host: &str) -> String {
        let name = server_name(&HostAddr::parse(host).unwrap());
        name.map_err(|_| ()).unwrap().to_str().into_owned()
    }

    #[test]
    fn the_certificate_has_to_be_for_what_stands_in_the_name_of_the_node() {
        for host in ["10.0.0.1", "fd00::7", "docker1.example.com", "h-1"] {
            assert_eq!(asked_for(host), host);
        }
        assert_eq!(asked_for("::ffff:10.0.0.1"), "10.0.0.1");
    }
}
