//! Requests on their way. Equal ones are one: those who ask while it is out
//! wait for the same answer, and it is given up when nobody waits any more.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::http::Reply;
use crate::error::Error;
use crate::index::Mark;
use crate::sync::lock;

/// A request that is out for longer than this may hang on a connection that is
/// dead without a word; who asks now gets a new one. Docker's slowest honest
/// answer is that to an inspect during a start or kill, 0.23 s.
const MAX_AGE: Duration = Duration::from_secs(1);

pub(crate) type Answer = Result<Reply, Error>;

/// The requests that are out to one daemon.
pub(crate) struct Flights {
    /// By path, those that more askers may join.
    listed: Mutex<HashMap<String, Listed>>,
    max: usize,
    out: AtomicUsize,
    begun: AtomicU64,
    coalesced: AtomicU64,
}

struct Listed {
    number: u64,
    /// The last news of the daemon when it began.
    news: Mark,
    begun: Instant,
    flight: Weak<Flight>,
}

/// One request, kept by those who wait for it.
struct Flight {
    answer: watch::Receiver<Option<Answer>>,
    task: AbortHandle,
    path: String,
    number: u64,
    flights: Arc<Flights>,
}

/// Counts a request from its start to its end, whatever that is.
struct Seat(Arc<Flights>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.out.fetch_sub(1, Relaxed);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.task.abort();
        self.flights.landed(&self.path, self.number);
    }
}

impl Flights {
    /// At most `max` at a time.
    pub(crate) fn new(max: usize) -> Self {
        Self {
            listed: Mutex::default(),
            max,
            out: AtomicUsize::new(0),
            begun: AtomicU64::new(0),
            coalesced: AtomicU64::new(0),
        }
    }

    /// How many are out.
    pub(crate) fn count(&self) -> usize {
        self.out.load(Relaxed)
    }

    /// How many questions another one's request has answered.
    pub(crate) fn coalesced(&self) -> u64 {
        self.coalesced.load(Relaxed)
    }

    /// Waits for the answer to `path`: to `request`, unless the same is out
    /// already, and since the last `news`. It runs as a task of its own, so that
    /// its first asker may go.
    pub(crate) async fn ask<F>(self: &Arc<Self>, path: String, news: Mark, request: F) -> Answer
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let flight = self.board(path, news, request)?;
        let mut answer = flight.answer.clone();
        match answer.wait_for(Option::is_some).await {
            Ok(answer) => answer.clone().unwrap_or(Err(Error::Cancelled)),
            // The task has panicked, or its runtime is gone.
            Err(_) => Err(Error::Cancelled),
        }
    }

    fn board<F>(
        self: &Arc<Self>,
        path: String,
        news: Mark,
        request: F,
    ) -> Result<Arc<Flight>, Error>
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let mut listed = lock(&self.listed);
        let young = |listed: &&Listed| listed.news == news && listed.begun.elapsed() < MAX_AGE;
        let out = listed.get(&path).filter(young);
        // Never dropped in here, where that would wait for this very lock.
        if let Some(flight) = out.and_then(|listed| listed.flight.upgrade()) {
            self.coalesced.fetch_add(1, Relaxed);
            return Ok(flight);
        }
        if self.out.load(Relaxed) >= self.max {
            return Err(Error::Busy);
        }
        self.out.fetch_add(1, Relaxed);
        let seat = Seat(Arc::clone(self));
        let number = self.begun.fetch_add(1, Relaxed);
        let (landing, answer) = watch::channel(None);
        let (flights, on_board) = (Arc::clone(self), path.clone());
        let task = tokio::spawn(async move {
            let _seat = seat;
            let answer = request.await;
            // First off the list: who asks from now on wants a newer answer.
            flights.landed(&on_board, number);
            landing.send_replace(Some(answer));
        });
        let flight = Arc::new(Flight {
            answer,
            task: task.abort_handle(),
            path: path.clone(),
            number,
            flights: Arc::clone(self),
        });
        let entry = Listed {
            number,
            news,
            begun: Instant::now(),
            flight: Arc::downgrade(&flight),
        };
        listed.insert(path, entry);
        Ok(flight)
    }

    fn landed(&self, path: &str, number: u64) {
        let mut listed = lock(&self.listed);
        if listed.get(path).is_some_and(|one| one.number == number) {
            listed.remove(path);
        }
    }
}
