//! What happens to daemons by itself, for the process that logs it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use docker_discovery::Notice;
use rustler::{Encoder, Env, LocalPid, OwnedEnv, Term};

use crate::{atoms, encode, runtime};

/// Notices that wait for somebody to listen; later ones are lost.
const MAX_PENDING: usize = 64;

struct Desk {
    listener: Option<LocalPid>,
    pending: Vec<(String, Notice)>,
}

static DESK: Mutex<Desk> = Mutex::new(Desk {
    listener: None,
    pending: Vec::new(),
});

fn desk() -> MutexGuard<'static, Desk> {
    DESK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The calling process is sent `{epmd_docker_nif, notice, Daemon, up | {down, Reason} | {not_watched,
/// Reason}}` from now on, and nobody else is.
pub(crate) fn listen(env: Env<'_>) {
    desk().listener = Some(env.pid());
    // Messages are sent from our own thread only.
    if let Ok(runtime) = runtime::handle() {
        runtime.spawn(async { desk().deliver() });
    }
}

/// Only ever called on our own thread.
pub(crate) fn tell(daemon: &str, notice: &Notice) {
    let mut desk = desk();
    if desk.pending.len() < MAX_PENDING {
        desk.pending.push((daemon.to_owned(), notice.clone()));
    }
    desk.deliver();
}

impl Desk {
    fn deliver(&mut self) {
        let Some(listener) = self.listener else {
            return;
        };
        let mut rest = std::mem::take(&mut self.pending);
        while !rest.is_empty() {
            let (daemon, notice) = &rest[0];
            if OwnedEnv::new()
                .send_and_clear(&listener, |env| message(env, daemon, notice))
                .is_err()
            {
                // It is dead; the next one gets them.
                self.listener = None;
                self.pending = rest;
                return;
            }
            rest.remove(0);
        }
    }
}

fn message<'a>(env: Env<'a>, daemon: &str, notice: &Notice) -> Term<'a> {
    let what = match notice {
        Notice::Up => atoms::up().encode(env),
        Notice::Down(error) => (atoms::down(), encode::reason(env, error)).encode(env),
        Notice::NotWatched(error) => (atoms::not_watched(), encode::reason(env, error)).encode(env),
    };
    (atoms::epmd_docker_nif(), atoms::notice(), daemon, what).encode(env)
}
