//! The daemon itself: sockets, requests, and the acts of its script.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use docker_discovery::{Endpoint, Resolver, Settings};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::broadcast;

/// What the daemon does about one request, in this order.
#[derive(Clone, Debug)]
pub enum Act {
    /// Send these bytes.
    Say(Vec<u8>),
    /// Do nothing for a while.
    Wait(Duration),
    /// Close the connection.
    Close,
    /// Send these bytes again and again.
    Endless(Vec<u8>),
    /// Say no more, and keep the connection.
    Hang,
    /// Send what is fed, as it comes, until the feed is cut.
    Feed(Feed),
}

/// Text for all connections that are fed from it, as for a stream of events.
#[derive(Clone, Debug)]
pub struct Feed(broadcast::Sender<Option<String>>);

impl Default for Feed {
    fn default() -> Self {
        Self(broadcast::channel(65_536).0)
    }
}

impl Feed {
    /// Sends this.
    pub fn say(&self, text: impl ToString) {
        let _ = self.0.send(Some(text.to_string()));
    }

    /// Closes the connections that are fed now.
    pub fn cut(&self) {
        let _ = self.0.send(None);
    }

    /// How many connections are fed.
    pub fn readers(&self) -> usize {
        self.0.receiver_count()
    }
}

/// A request, as far as a test may want to look at it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The path, with its query.
    pub path: String,
    /// The Host header.
    pub host: String,
    /// The number of the connection, from 1.
    pub connection: usize,
    /// The number of the request among all of the same path, from 1.
    pub nth: usize,
}

type Script = dyn Fn(&Asked) -> Vec<Act> + Send + Sync;

/// What was asked, and how often each path.
#[derive(Default)]
struct Log {
    asked: Vec<Asked>,
    counts: HashMap<String, usize>,
    /// Requests that are being answered, and the most that were at a time; without streams.
    busy: usize,
    most: usize,
}

/// The daemon. It ends with the test's runtime.
#[derive(Clone)]
pub struct Engine {
    pub endpoint: Endpoint,
    log: Arc<Mutex<Log>>,
    connections: Arc<AtomicUsize>,
    script: Arc<Script>,
}

impl Engine {
    /// Listens on a unix socket: then it is a local daemon.
    pub async fn unix(script: impl Fn(&Asked) -> Vec<Act> + Send + Sync + 'static) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let name = format!(
            "scripted-{}-{}.sock",
            std::process::id(),
            NUMBER.fetch_add(1, SeqCst)
        );
        let path = std::env::temp_dir().join(name);
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        let engine = Self::new(Endpoint::parse(path.to_str().unwrap()).unwrap(), script);
        let (serving, file) = (engine.clone(), SocketFile(path));
        tokio::spawn(async move {
            let _file = file;
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                serving.serve(stream);
            }
        });
        engine
    }

    /// Listens on a TCP port of 127.0.0.1.
    pub async fn tcp(script: impl Fn(&Asked) -> Vec<Act> + Send + Sync + 'static) -> Self {
        Self::tcp_at(SocketAddr::from(([127, 0, 0, 1], 0)), script).await
    }

    /// Listens on this address; port 0 is any.
    pub async fn tcp_at(
        address: SocketAddr,
        script: impl Fn(&Asked) -> Vec<Act> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let endpoint = Endpoint::parse(&format!("tcp://{address}")).unwrap();
        let engine = Self::new(endpoint, script);
        let serving = engine.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                serving.serve(stream);
            }
        });
        engine
    }

    pub(super) fn new(
        endpoint: Endpoint,
        script: impl Fn(&Asked) -> Vec<Act> + Send + Sync + 'static,
    ) -> Self {
        Self {
            endpoint,
            log: Arc::default(),
            connections: Arc::default(),
            script: Arc::new(script),
        }
    }

    /// Its TCP port.
    pub fn port(&self) -> u16 {
        match self.endpoint {
            Endpoint::Tcp { port, .. } => port,
            _ => panic!("not TCP"),
        }
    }

    /// How many connections it has accepted.
    pub fn connections(&self) -> usize {
        self.connections.load(SeqCst)
    }

    /// What it was asked, in order.
    pub fn asked(&self) -> Vec<Asked> {
        self.log.lock().unwrap().asked.clone()
    }

    /// How many requests have had a path that ends so.
    pub fn count(&self, ending: &str) -> usize {
        let log = self.log.lock().unwrap();
        let counts = log.counts.iter();
        let counts = counts.filter(|(path, _)| path.ends_with(ending));
        counts.map(|(_, count)| count).sum()
    }

    /// The most requests that it had to answer at a time.
    pub fn most_at_a_time(&self) -> usize {
        self.log.lock().unwrap().most
    }

    /// A resolver whose own daemon it is.
    pub fn resolver(&self) -> Resolver {
        self.resolver_with(|_| {})
    }

    /// The same with other settings.
    pub fn resolver_with(&self, change: impl FnOnce(&mut Settings)) -> Resolver {
        let mut settings = Settings {
            docker_host: self.endpoint.clone(),
            ..Settings::default()
        };
        change(&mut settings);
        Resolver::new(settings)
    }

    pub(super) fn serve<S>(&self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let connection = self.connections.fetch_add(1, SeqCst) + 1;
        tokio::spawn(self.clone().converse(stream, connection));
    }

    async fn converse<S>(self, stream: S, connection: usize)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut stream = BufReader::new(stream);
        while let Some((path, host)) = read_request(&mut stream).await {
            let asked = self.note(path, host, connection);
            let acts = (self.script)(&asked);
            let streams = acts.iter().any(|act| matches!(act, Act::Feed(_)));
            let _busy = (!streams).then(|| Busy::new(&self.log));
            for act in acts {
                match act {
                    Act::Say(bytes) if stream.write_all(&bytes).await.is_err() => return,
                    Act::Say(_) => {}
                    Act::Wait(time) => tokio::time::sleep(time).await,
                    Act::Close => return,
                    Act::Endless(bytes) => while stream.write_all(&bytes).await.is_ok() {},
                    Act::Hang => std::future::pending().await,
                    Act::Feed(feed) => {
                        let mut fed = feed.0.subscribe();
                        while let Ok(Some(text)) = fed.recv().await {
                            if stream.write_all(text.as_bytes()).await.is_err() {
                                return;
                            }
                        }
                        return;
                    }
                }
            }
        }
    }

    fn note(&self, path: String, host: String, connection: usize) -> Asked {
        let mut log = self.log.lock().unwrap();
        let count = log.counts.entry(path.clone()).or_default();
        *count += 1;
        let nth = *count;
        let asked = Asked {
            path,
            host,
            connection,
            nth,
        };
        log.asked.push(asked.clone());
        asked
    }
}

/// A request that is being answered.
struct Busy<'a>(&'a Mutex<Log>);

impl<'a> Busy<'a> {
    fn new(log: &'a Mutex<Log>) -> Self {
        let mut counts = log.lock().unwrap();
        counts.busy += 1;
        counts.most = counts.most.max(counts.busy);
        Self(log)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.lock().unwrap().busy -= 1;
    }
}

struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<(String, String)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1)?.to_owned();
    assert!(head.starts_with("GET "), "only GET is ever sent: {head}");
    let host = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("host").then(|| value.to_owned())
    });
    Some((path, host?))
}
