//! How the last request to a daemon went, and who is told when that changes.

use std::sync::{Arc, Mutex};

use super::DaemonState;
use super::transport::Link;
use crate::error::Error;
use crate::notice::{Notice, Notices};
use crate::sync::lock;

/// The state of a daemon.
#[derive(Clone)]
pub(super) struct Standing {
    state: Arc<Mutex<State>>,
    link: Arc<Link>,
    notices: Notices,
}

struct State {
    now: DaemonState,
    /// Whether it was told to be down; one that never was up is nobody's news.
    told_down: bool,
}

impl Standing {
    pub(super) fn new(link: &Arc<Link>, notices: &Notices) -> Self {
        let state = State {
            now: DaemonState::Unknown,
            told_down: false,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            link: Arc::clone(link),
            notices: notices.clone(),
        }
    }

    pub(super) fn now(&self) -> DaemonState {
        lock(&self.state).now.clone()
    }

    pub(super) fn is_down(&self) -> bool {
        matches!(lock(&self.state).now, DaemonState::Down(_))
    }

    /// A request went so. What is wrong with one answer says nothing of the daemon.
    pub(super) fn note(&self, error: Option<&Error>) {
        if let Some(ignored) = self.link.take_notice() {
            let text = &self.link.spot().text;
            self.notices.tell(text, &Notice::NotWatched(ignored));
        }
        match error {
            Some(
                error @ (Error::Connect { .. }
                | Error::Tls { .. }
                | Error::Context { .. }
                | Error::HostNotAllowed(_)),
            ) => {
                self.down(error);
            }
            _ => self.up(),
        }
    }

    pub(super) fn up(&self) {
        let mut state = lock(&self.state);
        state.now = DaemonState::Up;
        if std::mem::take(&mut state.told_down) {
            drop(state);
            self.notices.tell(&self.link.spot().text, &Notice::Up);
        }
    }

    pub(super) fn down(&self, error: &Error) {
        let mut state = lock(&self.state);
        let was = std::mem::replace(&mut state.now, DaemonState::Down(error.clone()));
        if was == DaemonState::Up {
            state.told_down = true;
            drop(state);
            self.notices
                .tell(&self.link.spot().text, &Notice::Down(error.clone()));
        }
    }
}
