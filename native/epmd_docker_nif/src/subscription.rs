//! Subscriptions: a process that is told what happens at a daemon, until it dies or wants no more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use docker_discovery::{Change, Error, HostAddr, Member};
use rustler::{Encoder, Env, LocalPid, Monitor, OwnedEnv, Resource, ResourceArc, Term};

use crate::{atoms, encode, runtime, state};

/// The owner's end. The subscription ends when the owner dies, when this is garbage collected, and
/// by [`Subscription::end`].
pub(crate) struct Subscription {
    wanted: Arc<AtomicBool>,
}

impl Subscription {
    pub(crate) fn end(&self) {
        self.wanted.store(false, Relaxed);
    }
}

#[rustler::resource_impl]
impl Resource for Subscription {
    const IMPLEMENTS_DOWN: bool = true;

    fn down<'a>(&'a self, _env: Env<'a>, _pid: LocalPid, _monitor: Monitor) {
        self.end();
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.end();
    }
}

/// What a subscriber wants to hear of.
pub(crate) struct Filter {
    pub(crate) host: Option<HostAddr>,
    pub(crate) project: Option<String>,
}

impl Filter {
    fn has(&self, member: &Member) -> bool {
        self.project.is_none() || self.project == member.project
    }
}

/// The calling process is sent `{epmd_docker, snapshot, [Info]}` and then `{epmd_docker, up | down
/// | changed, Info}`.
pub(crate) fn start(env: Env<'_>, filter: Filter) -> Result<ResourceArc<Subscription>, Error> {
    let runtime = runtime::handle().map_err(|_| Error::Busy)?;
    let owner = env.pid();
    let wanted = Arc::new(AtomicBool::new(true));
    let subscription = ResourceArc::new(Subscription {
        wanted: Arc::clone(&wanted),
    });
    env.monitor(&subscription, &owner);
    let host = filter.host.clone();
    // Always on our own thread, where messages may be sent from.
    let tell = move |change: Change| wanted.load(Relaxed) && send(&owner, &filter, &change);
    let _here = runtime.enter();
    state::resolver().subscribe(host.as_ref(), tell)?;
    Ok(subscription)
}

fn send(owner: &LocalPid, filter: &Filter, change: &Change) -> bool {
    let (what, members): (_, &[Member]) = match change {
        Change::Snapshot(all) => (atoms::snapshot(), all),
        Change::Up(one) => (atoms::up(), std::slice::from_ref(one)),
        Change::Down(one) => (atoms::down(), std::slice::from_ref(one)),
        Change::Changed(one) => (atoms::changed(), std::slice::from_ref(one)),
    };
    let members: Vec<_> = members.iter().filter(|one| filter.has(one)).collect();
    let is_snapshot = what == atoms::snapshot();
    if members.is_empty() && !is_snapshot {
        return true;
    }
    let message = |env| {
        let members: Vec<Term<'_>> = members.iter().map(|one| encode::member(env, one)).collect();
        let info = match members.as_slice() {
            [one] if !is_snapshot => *one,
            all => all.encode(env),
        };
        (atoms::epmd_docker(), what, info).encode(env)
    };
    // An error is a subscriber that is dead.
    OwnedEnv::new().send_and_clear(owner, message).is_ok()
}
