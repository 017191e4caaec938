//! Where one daemon is, as its connections know it: given by a setting or a
//! node name, or located when it is first needed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Mutex as Turns;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::endpoint::Endpoint;
use super::locator::{Located, Locator, Origin, Spot};
use crate::error::Error;
use crate::sync::lock;

pub(crate) struct Place {
    /// What to look in; none where it is given.
    locator: Option<Arc<Locator>>,
    default: Endpoint,
    state: Mutex<State>,
    /// One looks at a time, also while a disk does not answer.
    turns: Arc<Turns<()>>,
}

struct State {
    spot: Arc<Spot>,
    stage: Stage,
    /// Looks so far, and what the last one came to.
    looks: u64,
    failure: Option<Error>,
    notice: Option<Error>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Unknown,
    /// Somebody has looked, and nobody was there yet.
    Looked,
    /// A daemon has answered there.
    Settled,
}

impl Place {
    pub(crate) fn given(spot: Spot) -> Self {
        Self::new(spot, Stage::Settled, None)
    }

    pub(crate) fn located_by(locator: Locator, default: Endpoint) -> Self {
        let locator = Some(Arc::new(locator));
        Self::new(Spot::new(default, Origin::Unknown), Stage::Unknown, locator)
    }

    fn new(spot: Spot, stage: Stage, locator: Option<Arc<Locator>>) -> Self {
        Self {
            locator,
            default: spot.endpoint.clone(),
            state: Mutex::new(State {
                spot: Arc::new(spot),
                stage,
                looks: 0,
                failure: None,
                notice: None,
            }),
            turns: Arc::default(),
        }
    }

    /// As far as it is known. Never waits.
    pub(crate) fn spot(&self) -> Arc<Spot> {
        Arc::clone(&lock(&self.state).spot)
    }

    /// Where to connect to. Until a daemon has answered, each call looks again.
    pub(crate) async fn locate(&self, at_most: Duration) -> Result<Arc<Spot>, Error> {
        match (&self.locator, self.is_settled()) {
            (Some(locator), false) => {
                let looked = timeout(at_most, self.look(locator)).await;
                looked.unwrap_or(Err(Error::Timeout))
            }
            _ => Ok(self.spot()),
        }
    }

    /// The same where nobody has looked yet; an error is for those who connect.
    pub(crate) async fn locate_once(&self, at_most: Duration) {
        if lock(&self.state).stage == Stage::Unknown {
            let _ = self.locate(at_most).await;
        }
    }

    async fn look(&self, locator: &Arc<Locator>) -> Result<Arc<Spot>, Error> {
        let before = lock(&self.state).looks;
        let turn = Arc::clone(&self.turns).lock_owned().await;
        {
            // Somebody has looked while we waited.
            let state = lock(&self.state);
            if state.looks != before {
                let failure = state.failure.clone();
                return failure.map_or_else(|| Ok(Arc::clone(&state.spot)), Err);
            }
        }
        let (locator, default) = (Arc::clone(locator), self.default.clone());
        let look = spawn_blocking(move || {
            let located = locator.locate(&default);
            drop(turn);
            located
        });
        let located = look.await.unwrap_or(Err(Error::Cancelled));
        self.note(located)
    }

    fn note(&self, located: Result<Located, Error>) -> Result<Arc<Spot>, Error> {
        let mut state = lock(&self.state);
        state.looks += 1;
        match located {
            Ok(Located { spot, notice }) => {
                if state.stage == Stage::Unknown {
                    state.notice = notice;
                }
                if *state.spot != spot {
                    state.spot = Arc::new(spot);
                }
                state.stage = Stage::Looked;
                state.failure = None;
                Ok(Arc::clone(&state.spot))
            }
            Err(error) => {
                state.failure = Some(error.clone());
                Err(error)
            }
        }
    }

    fn is_settled(&self) -> bool {
        lock(&self.state).stage == Stage::Settled
    }

    /// A connection was made, or was not. A socket that was once the right one
    /// stays so, as another engine's may be there while ours restarts; a context
    /// can say another place by now.
    pub(crate) fn connected(&self, is_connected: bool) {
        let mut state = lock(&self.state);
        match (is_connected, &state.spot.origin) {
            (true, _) => state.stage = Stage::Settled,
            (false, Origin::Context(_)) => state.stage = Stage::Looked,
            (false, _) => {}
        }
    }

    /// What the user should know; each thing once.
    pub(crate) fn take_notice(&self) -> Option<Error> {
        lock(&self.state).notice.take()
    }
}
