//! The NIF functions. Each returns at once; their Erlang side, with types, is
//! `src_erl/epmd_docker_nif.erl`.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use docker_discovery::{ContainerRef, DistPort, Error, Family, Found, HostAddr, NodeName, Scheme};
use rustler::{Atom, Binary, Encoder, Env, NifResult, ResourceArc, Term};

use crate::job::{self, Encode, Job};
use crate::subscription::{self, Subscription};
use crate::{atoms, encode, notice, runtime, settings, state};

pub(crate) fn failed<'a>(env: Env<'a>, error: &Error) -> Term<'a> {
    (atoms::error(), encode::reason(env, error)).encode(env)
}

fn done<'a, T: Encoder>(env: Env<'a>, result: Result<T, Error>) -> Term<'a> {
    match result {
        Ok(value) => (atoms::ok(), value).encode(env),
        Err(error) => failed(env, &error),
    }
}

fn decode_family(family: Atom) -> NifResult<Family> {
    if family == atoms::inet() {
        Ok(Family::Inet)
    } else if family == atoms::inet6() {
        Ok(Family::Inet6)
    } else {
        Err(rustler::Error::BadArg)
    }
}

/// `configure(Settings) -> ok | {error, {bad_setting, Key, Detail}}`
#[rustler::nif]
fn configure<'a>(env: Env<'a>, map: Term<'a>) -> Term<'a> {
    match settings::decode(map) {
        Ok(settings) => {
            let resolver = state::configure(settings);
            // Without a thread it is begun with the first lookup.
            if let Ok(runtime) = runtime::handle() {
                runtime.spawn(async move { resolver.begin() });
            }
            atoms::ok().encode(env)
        }
        Err((key, detail)) => (atoms::error(), (atoms::bad_setting(), key, detail)).encode(env),
    }
}

/// `peek(Node, Family) -> {table, Host, Port} | {found, Kind, Found} | on_host | in_container | other |
/// {error, Reason}`: what memory knows of a name.
#[rustler::nif]
fn peek<'a>(env: Env<'a>, node: Binary<'a>, family: Atom) -> NifResult<Term<'a>> {
    recall(env, node, family, |kind, found| {
        (atoms::found(), kind, found.to_term(env)).encode(env)
    })
}

/// `address(Node, Family) -> {Kind, Address, Port}`, or as [`peek`]: of what is known, the part that
/// a connection needs, for it is what most of them ask first.
#[rustler::nif]
fn address<'a>(env: Env<'a>, node: Binary<'a>, family: Atom) -> NifResult<Term<'a>> {
    recall(env, node, family, |kind, found| match found.port {
        DistPort::Known(port) => (kind, encode::address(env, found.address), port).encode(env),
        DistPort::Epmd => (atoms::found(), kind, found.to_term(env)).encode(env),
    })
}

fn recall<'a>(
    env: Env<'a>,
    node: Binary<'a>,
    family: Atom,
    tell: impl FnOnce(Atom, &Found) -> Term<'a>,
) -> NifResult<Term<'a>> {
    let family = decode_family(family)?;
    let node = match NodeName::parse(&node) {
        Ok(node) => node,
        Err(error) => return Ok(failed(env, &error)),
    };
    if let Some(entry) = state::table().get(&node) {
        return Ok((atoms::table(), entry.host, entry.port).encode(env));
    }
    let scheme = node.scheme();
    let kind = match scheme {
        Scheme::OnHost { .. } => atoms::on_host(),
        Scheme::InContainer { .. } => atoms::in_container(),
        _ => return Ok(atoms::other().encode(env)),
    };
    Ok(match state::resolver().peek(&node, &scheme, family) {
        Some(found) => tell(kind, &found),
        None => kind.encode(env),
    })
}

/// `lookup(Tag, Node, Family, TimeoutMs) -> {ok, Job} | {error, Reason}`: asks Docker. The answer
/// is a message, see [`job::submit`].
#[rustler::nif]
fn lookup<'a>(
    env: Env<'a>,
    tag: Term<'a>,
    node: Binary<'a>,
    family: Atom,
    timeout: u64,
) -> NifResult<Term<'a>> {
    let family = decode_family(family)?;
    let node = match NodeName::parse(&node) {
        Ok(node) => node,
        Err(error) => return Ok(failed(env, &error)),
    };
    let resolver = state::resolver();
    let timeout = Duration::from_millis(timeout);
    let work = async move { resolver.lookup(&node, family, timeout).await };
    Ok(done(env, job::submit(env, tag, work)))
}

/// `explain(Tag, Node, Family, TimeoutMs) -> {ok, Job} | {error, Reason}`: as `lookup`, but tells
/// what the daemon said and all ways to the container.
#[rustler::nif]
fn explain<'a>(
    env: Env<'a>,
    tag: Term<'a>,
    node: Binary<'a>,
    family: Atom,
    timeout: u64,
) -> NifResult<Term<'a>> {
    let family = decode_family(family)?;
    let node = match NodeName::parse(&node) {
        Ok(node) => node,
        Err(error) => return Ok(failed(env, &error)),
    };
    let resolver = state::resolver();
    let timeout = Duration::from_millis(timeout);
    let work = async move { resolver.explain(&node, family, timeout).await };
    Ok(done(env, job::submit(env, tag, work)))
}

/// `locate(Tag, Container, Port, Family, TimeoutMs) -> {ok, Job} | {error, Reason}`: the address
/// at which a container's given port can be reached.
#[rustler::nif]
fn locate<'a>(
    env: Env<'a>,
    tag: Term<'a>,
    container: &'a str,
    port: u16,
    family: Atom,
    timeout: u64,
) -> NifResult<Term<'a>> {
    let family = decode_family(family)?;
    let Some(container) = ContainerRef::parse(container) else {
        return Ok(failed(env, &Error::NoSuchContainer));
    };
    let resolver = state::resolver();
    let timeout = Duration::from_millis(timeout);
    let work = async move { resolver.locate(&container, port, family, timeout).await };
    Ok(done(env, job::submit(env, tag, work)))
}

/// `names(Tag, Host, Family, TimeoutMs) -> {ok, Job} | {error, Reason}`: the nodes in the
/// containers of that host, or of the local daemon for `undefined`.
#[rustler::nif]
fn names<'a>(
    env: Env<'a>,
    tag: Term<'a>,
    host: Term<'a>,
    family: Atom,
    timeout: u64,
) -> NifResult<Term<'a>> {
    let family = decode_family(family)?;
    let host = match optional_host(host) {
        Ok(host) => host,
        Err(error) => return Ok(failed(env, &error)),
    };
    let resolver = state::resolver();
    let timeout = Duration::from_millis(timeout);
    let work = async move { resolver.names(host.as_ref(), family, timeout).await };
    Ok(done(env, job::submit(env, tag, work)))
}

/// `subscribe(Host, [{Key, Value}]) -> {ok, Subscription} | {error, Reason}`: the calling process is
/// told what happens at that daemon, see [`subscription::start`].
#[rustler::nif]
fn subscribe<'a>(env: Env<'a>, host: Term<'a>, labels: Vec<(String, String)>) -> Term<'a> {
    let started =
        optional_host(host).and_then(|host| subscription::start(env, host.as_ref(), &labels));
    done(env, started)
}

/// `unsubscribe(Subscription) -> ok`. As in [`cancel`], one from before a reload ends when it is
/// garbage collected.
#[rustler::nif]
fn unsubscribe(subscription: Term<'_>) -> Atom {
    if let Ok(subscription) = subscription.decode::<ResourceArc<Subscription>>() {
        subscription.end();
    }
    atoms::ok()
}

/// A host, or `undefined` for the local daemon.
fn optional_host(host: Term<'_>) -> Result<Option<HostAddr>, Error> {
    match host.decode::<&str>() {
        Ok(text) => HostAddr::parse(text)
            .map(Some)
            .ok_or(Error::NoSuchContainer),
        Err(_) => Ok(None),
    }
}

/// `is_allowed(Host, Address) -> boolean()`: whether a node name with this host may make us contact this
/// address (as text), to which that host leads.
#[rustler::nif]
fn is_allowed(host: &str, address: &str) -> bool {
    let allows = |ip| state::resolver().allows(ip, Some(host));
    address.parse().is_ok_and(allows)
}

/// `cancel(Job) -> ok`: aborts the work of a job that nobody waits for any more. No message comes
/// after this.
///
/// Unless the Erlang module was loaded again meanwhile: the VM then takes a job of before for another
/// kind of resource. Its owner must not fail for that; the work ends when the job is garbage collected.
#[rustler::nif]
fn cancel(job: Term<'_>) -> Atom {
    if let Ok(job) = job.decode::<ResourceArc<Job>>() {
        job.cancel();
    }
    atoms::ok()
}

/// `doubt(Node) -> ok`: what was known of a node has led nowhere. It is asked for again.
#[rustler::nif]
fn doubt(node: Binary<'_>) -> Atom {
    if let (Ok(node), Ok(runtime)) = (NodeName::parse(&node), runtime::handle()) {
        let resolver = state::resolver();
        // Not here: the index may be locked while a long list is taken over.
        runtime.spawn(async move { resolver.doubt(&node) });
    }
    atoms::ok()
}

/// `daemons() -> [map()]`: each daemon that was asked so far, and its state.
#[rustler::nif]
fn daemons(env: Env<'_>) -> Vec<Term<'_>> {
    let daemons = state::resolver().daemons();
    daemons
        .iter()
        .map(|daemon| encode::daemon(env, daemon))
        .collect()
}

/// `listen() -> ok`: the calling process is told what happens to daemons, see [`notice::listen`].
#[rustler::nif]
fn listen(env: Env<'_>) -> Atom {
    notice::listen(env);
    atoms::ok()
}

/// `creation() -> 4..16#FFFFFFFF`: a random number for this incarnation of the node, from the
/// operating system's entropy (which keys the standard library's hasher).
#[rustler::nif]
fn creation() -> u32 {
    // OTP keeps 0 to 3 for old nodes (net_kernel:wrap_creation/1).
    let random = RandomState::new().build_hasher().finish() as u32;
    random.max(4)
}
