//! A daemon whose every word is made up, on a real socket, and our client.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::{JoinSet, yield_now};
use tokio::time::timeout;

use super::{SECRET, is_ours};
use crate::docker::endpoint::Endpoint;
use crate::error::Error;
use crate::found::Family;
use crate::node_name::NodeName;
use crate::resolve::Resolver;
use crate::settings::{Limits, Settings};

/// What comes after an answer: the end of the connection, a wait for the next
/// request, or the same with the answer sent in two parts.
const ENDS: [u8; 3] = [0x1c, 0x1d, 0x1e];
/// For the next request on a connection that is kept.
const NEXT: Duration = Duration::from_millis(1);
const LOOKUP: Duration = Duration::from_millis(5);
/// The machine may be busy: this is for what waits for ever.
const FOREVER: Duration = Duration::from_secs(5);
const MAX_BODY: u64 = 64 << 10;

/// Its bytes, and the one that ends it.
type Answer = (Vec<u8>, u8);
type Answers = Arc<Mutex<VecDeque<Answer>>>;

/// The bytes of answers, one after the other. The first byte says whether a
/// node is looked up or the stream of events is read.
pub fn http(bytes: &[u8]) {
    let Some((what, rest)) = bytes.split_first() else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let answers = answers(rest);
    runtime.block_on(async {
        let began = Instant::now();
        let (daemon, endpoint) = Daemon::listen(answers);
        tokio::select! {
            () = ask(*what, endpoint) => {}
            () = daemon.serve() => {}
        }
        assert!(began.elapsed() < FOREVER);
    });
}

/// Each with the byte that ends it.
fn answers(bytes: &[u8]) -> VecDeque<Answer> {
    let parts = bytes.split_inclusive(|byte| ENDS.contains(byte));
    let split = |part: &[u8]| match part.split_last() {
        Some((end, answer)) if ENDS.contains(end) => (answer.to_vec(), *end),
        _ => (part.to_vec(), ENDS[0]),
    };
    parts.map(split).collect()
}

async fn ask(what: u8, docker_host: Endpoint) {
    let limits = Limits {
        max_body: MAX_BODY,
        max_list: MAX_BODY,
        ..Limits::default()
    };
    let resolver = Resolver::new(Settings {
        docker_host,
        watch: None,
        limits,
        ..Settings::default()
    });
    if what == b'e' {
        return follow(&resolver).await;
    }
    let node = NodeName::parse(b"app@web").unwrap();
    match resolver.lookup(&node, Family::Inet, LOOKUP).await {
        Ok(found) => assert!(found.address.is_ipv4() && !found.stale),
        Err(error) => bounded(&error),
    }
}

async fn follow(resolver: &Resolver) {
    let daemon = resolver.daemons.own();
    let clock = timeout(LOOKUP, daemon.clock()).await;
    let since = clock.ok().and_then(Result::ok).flatten();
    let Ok(Ok(mut events)) = timeout(LOOKUP, daemon.events(since)).await else {
        return;
    };
    loop {
        match timeout(LOOKUP, events.next()).await {
            Ok(Ok(Some(_))) => {}
            Ok(Err(error)) => bounded(&error),
            Ok(Ok(None)) | Err(_) => return,
        }
    }
}

/// What a daemon says is not repeated at length, and is one line.
fn bounded(error: &Error) {
    let text = error.to_string();
    assert!(text.chars().count() < 512, "{text}");
    assert!(!text.chars().any(char::is_control), "{text:?}");
    match error {
        Error::Status { code, .. } => assert!(!(200..300).contains(code)),
        Error::BadResponse(detail) => assert!(!detail.contains(SECRET)),
        Error::TooLarge(limit) => assert!(*limit >= 4096),
        Error::BadNodeName(_) | Error::HostNotAllowed(_) | Error::Busy | Error::Cancelled => {
            panic!("{error:?}")
        }
        _ => {}
    }
}

struct Daemon {
    listener: UnixListener,
    answers: Answers,
    path: PathBuf,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Daemon {
    fn listen(answers: VecDeque<Answer>) -> (Self, Endpoint) {
        let path = std::env::temp_dir().join(format!("fuzz-{}.sock", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        let endpoint = Endpoint::parse(path.to_str().unwrap()).unwrap();
        let answers = Arc::new(Mutex::new(answers));
        let daemon = Self {
            listener,
            answers,
            path,
        };
        (daemon, endpoint)
    }

    async fn serve(&self) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => {
                    let (stream, _) = accepted.unwrap();
                    connections.spawn(converse(stream, Arc::clone(&self.answers)));
                }
                Some(ended) = connections.join_next() => ended.unwrap(),
            }
        }
    }
}

async fn converse(mut stream: UnixStream, answers: Answers) {
    while let Ok(Some(path)) = timeout(NEXT, request(&mut stream)).await {
        assert!(is_ours(&path), "{path}");
        let Some((answer, end)) = answers.lock().unwrap().pop_front() else {
            return;
        };
        let (first, second) = answer.split_at(answer.len() / 2 * usize::from(end == ENDS[2]));
        let _ = stream.write_all(first).await;
        yield_now().await;
        let _ = stream.write_all(second).await;
        if end == ENDS[0] {
            return;
        }
    }
}

/// The path of the next request, which is a GET without a body.
async fn request(stream: &mut UnixStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_buf(&mut head).await.ok().filter(|n| *n > 0)?;
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.strip_prefix("GET ").unwrap().split(' ').next()?;
    Some(path.to_owned())
}
