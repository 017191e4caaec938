//! The addresses of a daemon's host name, by `getaddrinfo(3)`.
//!
//! That cannot be cancelled: where no name server answers, a call holds its thread for ten seconds
//! or more, and goes on doing so when the server is back. So those who ask share one call, and while
//! that hangs another one is made now and then.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep};

use crate::errno::Errno;
use crate::sync::lock;

/// Between two calls for one name while none is answered: less than a second after the name server
/// is back there is one that it hears.
const PACE: Duration = Duration::from_millis(600);
/// For one name: what hangs for ten seconds at that pace.
const MAX_CALLS: usize = 16;
/// For all names.
const MAX_ALL_CALLS: usize = 32;
static CALLS: Semaphore = Semaphore::const_new(MAX_ALL_CALLS);

type Answer = Result<Vec<IpAddr>, Errno>;

/// Who says where a host is: the system, or a test.
pub(crate) type Names = fn(String, u16) -> Pin<Box<dyn Future<Output = Answer> + Send>>;

/// The addresses of a host name, in the system's order.
pub(crate) fn system(name: String, port: u16) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
    Box::pin(async move {
        let found = tokio::net::lookup_host((name, port)).await;
        let found = found.map(|found| found.map(|address| address.ip()).collect::<Vec<_>>());
        match found {
            Ok(found) if !found.is_empty() => Ok(found),
            _ => Err(Errno::Nxdomain),
        }
    })
}

/// The calls for one name.
pub(crate) struct HostName {
    answer: watch::Sender<Answer>,
    out: AtomicUsize,
    last: Mutex<Option<Instant>>,
}

impl Default for HostName {
    fn default() -> Self {
        Self {
            answer: watch::channel(Err(Errno::Nxdomain)).0,
            out: AtomicUsize::new(0),
            last: Mutex::default(),
        }
    }
}

impl HostName {
    /// The addresses of the name: the next answer to any of the calls.
    pub(crate) async fn resolve(self: &Arc<Self>, names: Names, name: &str, port: u16) -> Answer {
        let mut answers = self.answer.subscribe();
        loop {
            self.call(names, name, port);
            tokio::select! {
                // The other end is in `self`.
                _ = answers.changed() => return answers.borrow_and_update().clone(),
                () = sleep(PACE) => {}
            }
        }
    }

    /// Makes a call, unless there is a young one, or there are too many.
    fn call(self: &Arc<Self>, names: Names, name: &str, port: u16) {
        let mut last = lock(&self.last);
        let out = self.out.load(SeqCst);
        let is_young = out > 0 && last.is_some_and(|last| last.elapsed() < PACE);
        if is_young || out >= MAX_CALLS {
            return;
        }
        let Ok(permit) = CALLS.try_acquire() else {
            return;
        };
        *last = Some(Instant::now());
        self.out.fetch_add(1, SeqCst);
        let (calls, found) = (Arc::clone(self), names(name.to_owned(), port));
        // A task of its own: the thread is taken for as long as the call lasts, whoever still waits.
        tokio::spawn(async move {
            let found = found.await;
            drop(permit);
            calls.out.fetch_sub(1, SeqCst);
            let _ = calls.answer.send_replace(found);
        });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn those_who_ask_at_once_share_a_call() {
        let name = Arc::new(HostName::default());
        let (one, two) = tokio::join!(
            name.resolve(system, "localhost", 1),
            name.resolve(system, "localhost", 1)
        );
        assert_eq!(one, two);
        assert!(one.unwrap().iter().all(IpAddr::is_loopback));
        assert_eq!(name.out.load(SeqCst), 0);
    }

    #[tokio::test]
    async fn what_is_no_name_is_told_so_each_time() {
        let name = Arc::new(HostName::default());
        for _ in 0..2 {
            assert_eq!(
                name.resolve(system, "no such host", 1).await,
                Err(Errno::Nxdomain)
            );
        }
    }
}
