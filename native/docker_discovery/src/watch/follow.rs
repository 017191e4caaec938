//! From one stream of events: list, events, inspects, until the stream ends.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Instant, sleep_until, timeout};

use super::queue::Queue;
use super::{Rules, WatchState};
use crate::docker::client::Daemon;
use crate::docker::events::{Event, Events, What};
use crate::docker::find::reinspect;
use crate::docker::list;
use crate::error::Error;
use crate::interfaces::network_event;
use crate::node_name::ContainerId;

/// For the first word of the stream, which Docker says at once; a proxy that
/// collects answers before it hands them on never does.
const OPENING: Duration = Duration::from_secs(5);
/// For a list, and for an inspect.
const ANSWER: Duration = Duration::from_secs(30);
/// Inspects at a time; look-ups come first.
const LOOKERS: usize = 8;
/// Between a hole in the stream and the next list.
const AFTER_HOLE: Duration = Duration::from_secs(1);

/// Why a daemon is not followed any more.
pub(super) enum End {
    Idle,
    Lost(Error),
    Forbidden(Error),
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        match error {
            Error::Status {
                code: 401 | 403..=405 | 501,
                ..
            } => Self::Forbidden(error),
            error => Self::Lost(error),
        }
    }
}

pub(super) async fn follow(daemon: &Arc<Daemon>, rules: &Rules) -> End {
    match open(daemon).await {
        Ok(events) => {
            daemon.known.stream_begins();
            Follower::new(daemon, rules).run(events).await
        }
        Err(error) => error.into(),
    }
}

/// From a little before now, by the daemon's clock: the stream's answer begins
/// before the daemon has subscribed to its own events (20.10).
async fn open(daemon: &Daemon) -> Result<Events, Error> {
    let opening = async {
        let since = match daemon.known.last_event() {
            Some(time) => Some(time),
            None => daemon.clock().await?,
        };
        daemon.events(since).await
    };
    timeout(OPENING, opening)
        .await
        .unwrap_or(Err(Error::Timeout))
}

type Listing = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;
/// Which one, and whether an event has overtaken the answer.
type Look = Pin<Box<dyn Future<Output = (ContainerId, bool)> + Send>>;

struct Follower<'a> {
    daemon: &'a Arc<Daemon>,
    rules: &'a Rules,
    listing: Option<Listing>,
    next_list: Instant,
    looks: FuturesUnordered<Look>,
    queue: Queue,
}

impl<'a> Follower<'a> {
    fn new(daemon: &'a Arc<Daemon>, rules: &'a Rules) -> Self {
        Self {
            daemon,
            rules,
            listing: Some(list(daemon)),
            next_list: Instant::now() + rules.refresh,
            looks: FuturesUnordered::new(),
            queue: Queue::default(),
        }
    }

    async fn run(mut self, mut events: Events) -> End {
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Ok(Some(event)) => self.happened(event),
                    Ok(None) => return End::Lost(self.daemon.link.failed(crate::Errno::Econnreset)),
                    Err(_) => self.hole(),
                },
                listed = listed(&mut self.listing) => match listed {
                    Ok(()) => self.listed(),
                    Err(error) => return error.into(),
                },
                Some((id, again)) = self.looks.next() => self.queue.done(id, again, Instant::now()),
                () = until(self.queue.due()) => {}
                () = sleep_until(self.next_list) => {
                    if self.daemon.is_unused(self.rules) {
                        return End::Idle;
                    }
                    self.next_list = Instant::now() + self.rules.refresh;
                    self.listing.get_or_insert_with(|| list(self.daemon));
                }
                () = self.daemon.watch.wake.notified() => self.want(),
            }
            if let Some(error) = self.too_much() {
                self.daemon.known.clear();
                return End::Lost(error);
            }
            self.look();
        }
    }

    /// A daemon that tells of more than any host has would fill our memory.
    fn too_much(&self) -> Option<Error> {
        let limits = &self.daemon.limits;
        let (containers, bytes) = self.daemon.known.size();
        if bytes > limits.max_known {
            return Some(Error::TooLarge(limits.max_known as u64));
        }
        let many = containers.max(self.queue.len()) > limits.max_containers;
        many.then(|| {
            let most = limits.max_containers;
            Error::BadResponse(format!("it tells of more than {most} containers"))
        })
    }

    fn happened(&mut self, event: Event) {
        if event.what == What::Network {
            network_event();
        }
        if self.daemon.known.apply(&event) {
            self.queue.happened(event.id, Instant::now());
        }
    }

    /// What was said there is not known: everything is old, and listed again.
    fn hole(&mut self) {
        self.daemon.known.stream_begins();
        self.listing = None;
        self.next_list = self.next_list.min(Instant::now() + AFTER_HOLE);
    }

    fn listed(&mut self) {
        self.listing = None;
        self.daemon.watch.set(WatchState::Following);
        self.daemon.known.let_go();
        self.want();
    }

    fn want(&mut self) {
        let wanted = self.daemon.known.wanted();
        wanted.into_iter().for_each(|id| self.queue.add(id));
    }

    fn look(&mut self) {
        while self.looks.len() < LOOKERS {
            match self.queue.take(Instant::now()) {
                Some(id) if self.daemon.known.is_unseen(&id) => {
                    self.looks.push(look(self.daemon, id));
                }
                // Somebody who asked has got to know it, or it has stopped.
                Some(id) => self.queue.done(id, false, Instant::now()),
                None => break,
            }
        }
        if self.looks.is_empty() && self.listing.is_none() {
            self.daemon.known.settled();
        }
    }
}

/// The answer, as soon as there is a list on its way.
async fn listed(listing: &mut Option<Listing>) -> Result<(), Error> {
    match listing {
        Some(listing) => listing.await,
        None => std::future::pending().await,
    }
}

/// Asks for the list and takes it over, bit by bit: nobody waits long for his
/// turn, or for the index.
fn list(daemon: &Arc<Daemon>) -> Listing {
    let asked_at = daemon.known.list_begins();
    let daemon = Arc::clone(daemon);
    Box::pin(async move {
        let answer = timeout(ANSWER, list::list(&daemon)).await;
        let mut list = answer.unwrap_or(Err(Error::Timeout))?;
        loop {
            match list.next().await? {
                part if part.is_empty() => break,
                part => daemon.known.apply_list(asked_at, &part),
            }
        }
        daemon.known.list_ends(asked_at);
        Ok(())
    })
}

/// Inspects a container. What cannot be had stays unknown, and is asked when
/// somebody wants to know.
fn look(daemon: &Arc<Daemon>, id: ContainerId) -> Look {
    let daemon = Arc::clone(daemon);
    Box::pin(async move {
        let looked = timeout(ANSWER, reinspect(&daemon, &id)).await;
        let again = matches!(looked, Ok(Ok(_))) && daemon.known.is_unseen(&id);
        (id, again)
    })
}

/// Never, if there is no such moment.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
