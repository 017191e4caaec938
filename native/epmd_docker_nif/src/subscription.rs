//! Subscriptions: a process that is told what happens at a daemon, until it dies or wants no more.

use docker_discovery::{Change, Error, HostAddr, Member};
use rustler::{Atom, Encoder, Env, LocalPid, Monitor, OwnedEnv, Resource, ResourceArc, Term};

use crate::{atoms, encode, runtime, state};

/// The owner's end. The subscription ends when the owner dies, when this is garbage collected, and
/// by [`Subscription::end`].
pub(crate) struct Subscription(docker_discovery::Subscription);

impl Subscription {
    pub(crate) fn end(&self) {
        self.0.end();
    }
}

#[rustler::resource_impl]
impl Resource for Subscription {
    const IMPLEMENTS_DOWN: bool = true;

    fn down<'a>(&'a self, _env: Env<'a>, _pid: LocalPid, _monitor: Monitor) {
        self.end();
    }
}

/// The calling process is sent `{epmd_docker, snapshot, [Info]}` and then `{epmd_docker, up | down
/// | changed, Info}`, of containers that have all these labels.
pub(crate) fn start(
    env: Env<'_>,
    host: Option<&HostAddr>,
    labels: &[(String, String)],
) -> Result<ResourceArc<Subscription>, Error> {
    let runtime = runtime::handle().map_err(|_| Error::Busy)?;
    let owner = env.pid();
    let _here = runtime.enter();
    // Told on our own thread only, where messages may be sent from.
    let tell = move |change: Change| send(&owner, &change);
    let subscription = state::resolver().subscribe(host, labels, tell)?;
    let subscription = ResourceArc::new(Subscription(subscription));
    env.monitor(&subscription, &owner);
    Ok(subscription)
}

/// Whether the owner is alive.
fn send(owner: &LocalPid, change: &Change) -> bool {
    let message = |env| match change {
        Change::Snapshot(all) => {
            let all: Vec<Term<'_>> = all.iter().map(|one| encode::member(env, one)).collect();
            (atoms::epmd_docker(), atoms::snapshot(), all).encode(env)
        }
        Change::Up(one) => told(env, atoms::up(), one),
        Change::Down(one) => told(env, atoms::down(), one),
        Change::Changed(one) => told(env, atoms::changed(), one),
    };
    OwnedEnv::new().send_and_clear(owner, message).is_ok()
}

fn told<'a>(env: Env<'a>, what: Atom, member: &Member) -> Term<'a> {
    (atoms::epmd_docker(), what, encode::member(env, member)).encode(env)
}
