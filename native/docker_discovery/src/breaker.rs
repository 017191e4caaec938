//! Whether a daemon answers at all. A lookup that waits long for its answer makes us ping the
//! daemon beside it; if that is silent too, all who wait and all who come are told so at once, until a
//! ping is answered.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::watch;
use tokio::time::{Instant, interval, sleep_until, timeout};

use crate::docker::client::Daemon;
use crate::error::Error;

/// A lookup that has had no answer for so long makes the daemon suspect. Docker's slowest honest
/// answer is that to an inspect during a start or kill, 0.23 s.
const SILENCE: Duration = Duration::from_millis(500);
/// A ping waits for no lock of Docker's. Longer than a lost packet takes to be sent again.
const PING: Duration = Duration::from_secs(2);
/// Between two pings, each on a connection of its own, so that one that hangs holds up no other.
const BETWEEN: Duration = Duration::from_millis(400);
/// A daemon that nobody asks for anything is not pinged longer than this.
const UNUSED: Duration = Duration::from_secs(30);

/// What is known of a daemon's silence.
pub(crate) struct Breaker {
    open: watch::Sender<Option<Error>>,
    pinging: AtomicBool,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            open: watch::channel(None).0,
            pinging: AtomicBool::new(false),
        }
    }
}

impl Breaker {
    /// Why nothing is asked of the daemon now, if so.
    fn error(&self) -> Option<Error> {
        self.open.borrow().clone()
    }

    /// Waits until nothing is asked of the daemon any more, and says why.
    async fn opened(&self) -> Error {
        let mut open = self.open.subscribe();
        match open.wait_for(Option::is_some).await {
            Ok(error) => error.clone().unwrap_or(Error::Timeout),
            Err(_) => Error::Cancelled,
        }
    }

    fn set(&self, error: Option<Error>) {
        self.open.send_replace(error);
    }
}

/// Does work that the daemon has to answer, until the deadline. A daemon that is silent for long
/// is pinged meanwhile, and not waited for any longer if it is silent to that too.
pub(crate) async fn wait<T>(
    daemon: &Arc<Daemon>,
    deadline: Instant,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    if let Some(error) = daemon.breaker.error() {
        return Err(error);
    }
    let silence = sleep_until(deadline.min(Instant::now() + SILENCE));
    let mut work = pin!(work);
    let mut silence = pin!(silence);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            error = daemon.breaker.opened() => return Err(error),
            () = &mut silence => {
                if Instant::now() >= deadline {
                    daemon.was_silent(&Error::Timeout);
                    return Err(Error::Timeout);
                }
                suspect(daemon);
                silence.as_mut().reset(deadline);
            }
        }
    }
}

/// The daemon has not answered for [`SILENCE`]: finds out whether it does. Needs a runtime.
fn suspect(daemon: &Arc<Daemon>) {
    if !daemon.breaker.pinging.swap(true, SeqCst) {
        tokio::spawn(ping(Arc::clone(daemon)));
    }
}

/// Ends what [`suspect`] began, however that ends.
struct Pinging(Arc<Daemon>);

impl Drop for Pinging {
    fn drop(&mut self) {
        self.0.breaker.set(None);
        self.0.breaker.pinging.store(false, SeqCst);
    }
}

/// Pings until an answer comes, or nobody wants to know any more.
async fn ping(daemon: Arc<Daemon>) {
    let guard = Pinging(daemon);
    let daemon = &guard.0;
    let began = Instant::now();
    let mut pings = FuturesUnordered::new();
    let mut ticks = interval(BETWEEN);
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                if daemon.watch.unused_for() > UNUSED && began.elapsed() > UNUSED {
                    return;
                }
                pings.push(timeout(PING, daemon.ping()));
            }
            Some(pong) = pings.next() => match pong.unwrap_or(Err(Error::Timeout)) {
                Err(error @ (Error::Connect { .. } | Error::Tls { .. } | Error::Timeout)) => {
                    daemon.was_silent(&error);
                    daemon.breaker.set(Some(error));
                }
                // It answers, whatever it says.
                _ => break,
            },
        }
    }
    daemon.breaker.set(None);
    daemon.is_back();
}
