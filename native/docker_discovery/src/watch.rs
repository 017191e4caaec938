//! Follows what happens at a daemon: one task for each that is watched.
//!
//! First the stream of events, then the list, then events as they come: what
//! changes between the two is in both. The stream's end makes all knowledge
//! old at once; until it is there again, everything is asked as without it.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};

use crate::docker::client::Daemon;
use crate::error::Error;
use crate::notice::{Notice, Notices};
use crate::sync::lock;

mod follow;
mod queue;

use follow::{End, follow};

/// Between two tries to follow a daemon, doubled each time, give or take half.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A proxy that forbids it may be told better some day.
const FORBIDDEN_PAUSE: Duration = Duration::from_secs(600);
/// One that was followed for this long was no failure.
const SUCCESS: Duration = Duration::from_secs(10);

/// How a daemon is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    /// Between two lists.
    pub(crate) refresh: Duration,
    /// A daemon that nobody asked about for this long is let go.
    pub(crate) idle: Option<Duration>,
}

/// Whether what happens at a daemon is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchState {
    /// It is not, and nobody tries.
    Off,
    /// The stream of events or the list is still to come.
    Starting,
    /// It is: what is known is true.
    Following,
    /// It was lost, for this reason, and is tried again.
    Lost(Error),
    /// The daemon, or a proxy before it, does not allow it.
    Forbidden(Error),
}

/// The watch over one daemon.
pub(crate) struct Watch {
    task: Mutex<Option<AbortHandle>>,
    state: Mutex<WatchState>,
    /// When somebody last asked about this daemon, in ms of [`uptime`].
    used: AtomicU64,
    /// To try at once, or look at what is wanted.
    wake: Notify,
    notices: Notices,
}

impl Watch {
    pub(crate) fn new(notices: &Notices) -> Self {
        Self {
            task: Mutex::default(),
            state: Mutex::new(WatchState::Off),
            used: AtomicU64::new(0),
            wake: Notify::new(),
            notices: notices.clone(),
        }
    }

    /// Somebody asks about this daemon.
    pub(crate) fn touch(&self) {
        self.used.store(uptime(), Relaxed);
    }

    pub(crate) fn state(&self) -> WatchState {
        lock(&self.state).clone()
    }

    /// Tries at once to follow it, for it answers again.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Ends it; what is known is lost.
    pub(crate) fn stop(&self) {
        if let Some(task) = lock(&self.task).take() {
            task.abort();
        }
    }

    fn set(&self, state: WatchState) {
        *lock(&self.state) = state;
    }

    pub(crate) fn is_idle(&self, rules: &Rules) -> bool {
        rules.idle.is_some_and(|idle| self.unused_for() >= idle)
    }

    /// How long ago somebody last asked about this daemon.
    pub(crate) fn unused_for(&self) -> Duration {
        Duration::from_millis(uptime().saturating_sub(self.used.load(Relaxed)))
    }

    /// Says so once, until it is followed again.
    fn forbidden(&self, daemon: &str, error: Error) {
        let forbidden = WatchState::Forbidden(error.clone());
        let before = std::mem::replace(&mut *lock(&self.state), forbidden.clone());
        if before != forbidden {
            self.notices.tell(daemon, &Notice::NotWatched(error));
        }
    }
}

/// Begins to watch a daemon that is not watched yet. Needs a runtime.
pub(crate) fn ensure(daemon: &Arc<Daemon>, rules: &Rules) {
    let mut task = lock(&daemon.watch.task);
    if task.as_ref().is_none_or(AbortHandle::is_finished) {
        daemon.watch.set(WatchState::Starting);
        daemon.known.watched();
        let run = run(Arc::clone(daemon), rules.clone());
        *task = Some(tokio::spawn(run).abort_handle());
    }
}

async fn run(daemon: Arc<Daemon>, rules: Rules) {
    let watch = &daemon.watch;
    let mut pause = FIRST_PAUSE;
    while !daemon.is_unused(&rules) {
        let began = Instant::now();
        let end = follow(&daemon, &rules).await;
        daemon.known.stream_ends();
        let wait = match end {
            End::Idle => break,
            End::Forbidden(error) => {
                watch.forbidden(&daemon.link.spot().text, error);
                FORBIDDEN_PAUSE
            }
            End::Lost(error) => {
                watch.set(WatchState::Lost(error));
                if began.elapsed() >= SUCCESS {
                    pause = FIRST_PAUSE;
                }
                let wait = pause;
                pause = LONGEST_PAUSE.min(pause * 2);
                wait
            }
        };
        tokio::select! {
            () = sleep(jittered(wait)) => {}
            () = watch.wake.notified() => {}
        }
    }
    daemon.known.clear();
    watch.set(WatchState::Off);
}

/// Half of it to one and a half, so that not all nodes come at once.
fn jittered(pause: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish() as u32;
    let part = f64::from(random) / f64::from(u32::MAX);
    pause.mul_f64(0.5 + part)
}

/// Milliseconds since the first call, plus one.
fn uptime() -> u64 {
    static START: OnceLock<std::time::Instant> = OnceLock::new();
    let start = START.get_or_init(std::time::Instant::now);
    1 + u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
}
