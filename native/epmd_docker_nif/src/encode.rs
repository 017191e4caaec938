//! Terms from values. A unit variant becomes an atom, a variant with data a tagged tuple, an error
//! of the operating system its posix atom, text a binary.

use std::net::IpAddr;

use docker_discovery::{
    ContainerInfo, ContainerState, DaemonInfo, DaemonState, DistPort, Errno, Error, Found, Health,
    Member, Via, WatchState,
};
use rustler::{Atom, Encoder, Env, MapIterator, Term};

use crate::atoms;
use crate::context;
use crate::job::Encode;
use crate::tls_fault;

/// The documented reason of an error, `epmd_docker:reason()` in Erlang.
pub(crate) fn reason<'a>(env: Env<'a>, error: &Error) -> Term<'a> {
    match error {
        Error::NoSuchContainer => atoms::no_such_container().encode(env),
        Error::NotRunning(state) => (atoms::not_running(), state_atom(*state)).encode(env),
        Error::Ambiguous(ids) => {
            let ids: Vec<&str> = ids.iter().map(|id| id.as_str()).collect();
            (atoms::ambiguous(), ids).encode(env)
        }
        Error::NotPublished(port) => (atoms::not_published(), port).encode(env),
        Error::LoopbackOnly(port) => (atoms::loopback_only(), port).encode(env),
        Error::NoNetwork(networks) => (atoms::no_network(), networks).encode(env),
        Error::NoHostAddress(host) => (atoms::dns(), host, atoms::eafnosupport()).encode(env),
        Error::HostNotAllowed(host) => (atoms::host_not_allowed(), host).encode(env),
        Error::BadNodeName(name) => (atoms::bad_node_name(), name).encode(env),
        Error::Connect { endpoint, errno } => {
            (atoms::connect(), endpoint, posix(env, *errno)).encode(env)
        }
        Error::Tls { endpoint, fault } => {
            (atoms::tls(), endpoint, tls_fault::term(env, fault)).encode(env)
        }
        Error::Context { name, fault } => {
            (atoms::context(), name, context::fault(env, fault)).encode(env)
        }
        Error::Status { code, message } => (atoms::status(), code, message).encode(env),
        Error::BadResponse(detail) => (atoms::bad_response(), detail).encode(env),
        Error::TooLarge(bytes) => (atoms::too_large(), bytes).encode(env),
        Error::Timeout => atoms::timeout().encode(env),
        Error::Busy => atoms::busy().encode(env),
        Error::Cancelled => atoms::cancelled().encode(env),
        // The enum is non_exhaustive: a variant that this file does not know yet still answers.
        other => (atoms::bad_response(), other.to_string()).encode(env),
    }
}

fn posix(env: Env<'_>, errno: Errno) -> Term<'_> {
    word(env, errno.as_str())
}

/// The atom of a word of an enum of ours: their set is fixed, so this makes none from outside data.
pub(crate) fn word<'a>(env: Env<'a>, word: &'static str) -> Term<'a> {
    match Atom::from_str(env, word) {
        Ok(atom) => atom.encode(env),
        Err(_) => atoms::unknown().encode(env),
    }
}

fn state_atom(state: ContainerState) -> Atom {
    match state {
        ContainerState::Created => atoms::created(),
        ContainerState::Restarting => atoms::restarting(),
        ContainerState::Removing => atoms::removing(),
        ContainerState::Paused => atoms::paused(),
        ContainerState::Exited => atoms::exited(),
        ContainerState::Dead => atoms::dead(),
        _ => atoms::unknown(),
    }
}

/// An address in the form of `inet:ip_address()`.
pub(crate) fn address(env: Env<'_>, ip: IpAddr) -> Term<'_> {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            (a, b, c, d).encode(env)
        }
        IpAddr::V6(ip) => {
            let words: Vec<Term<'_>> = ip.segments().iter().map(|word| word.encode(env)).collect();
            rustler::types::tuple::make_tuple(env, &words)
        }
    }
}

pub(crate) fn via<'a>(env: Env<'a>, via: &Via) -> Term<'a> {
    match via {
        Via::Container { network } => (atoms::container(), network).encode(env),
        Via::Published => atoms::published().encode(env),
        Via::HostNetwork => atoms::host_network().encode(env),
    }
}

pub(crate) fn map<'a>(env: Env<'a>, pairs: &[(Atom, Term<'a>)]) -> Term<'a> {
    // Keys are distinct, which is the only way in which this could fail.
    Term::map_from_pairs(env, pairs).unwrap_or_else(|_| Term::map_new(env))
}

impl Encode for Found {
    fn to_term<'a>(&self, env: Env<'a>) -> Term<'a> {
        let port = match self.port {
            DistPort::Known(port) => port.encode(env),
            DistPort::Epmd => atoms::epmd().encode(env),
        };
        map(
            env,
            &[
                (atoms::address(), address(env, self.address)),
                (atoms::port(), port),
                (atoms::via(), via(env, &self.via)),
                (atoms::stale(), self.stale.encode(env)),
                (atoms::container(), container(env, &self.container)),
            ],
        )
    }
}

/// Names and ports.
impl Encode for Vec<(String, u16)> {
    fn to_term<'a>(&self, env: Env<'a>) -> Term<'a> {
        self.encode(env)
    }
}

pub(crate) fn container<'a>(env: Env<'a>, info: &ContainerInfo) -> Term<'a> {
    map(
        env,
        &[
            (atoms::id(), info.id.as_str().encode(env)),
            (atoms::name(), info.name.encode(env)),
            (atoms::hostname(), info.hostname.encode(env)),
            (atoms::daemon(), info.daemon.encode(env)),
        ],
    )
}

/// A container for subscribers.
pub(crate) fn member<'a>(env: Env<'a>, member: &Member) -> Term<'a> {
    let optional = |text: &Option<String>| match text {
        Some(text) => text.encode(env),
        None => atoms::undefined().encode(env),
    };
    map(
        env,
        &[
            (atoms::container(), container(env, &member.container)),
            (atoms::nodes(), member.nodes.encode(env)),
            (atoms::project(), optional(&member.project)),
            (atoms::service(), optional(&member.service)),
            (atoms::health(), health(member.health).encode(env)),
            (atoms::networks(), member.networks.encode(env)),
            (atoms::ports(), member.ports.encode(env)),
        ],
    )
}

fn health(health: Option<Health>) -> Atom {
    match health {
        None => atoms::undefined(),
        Some(Health::Starting) => atoms::starting(),
        Some(Health::Healthy) => atoms::healthy(),
        Some(Health::Unhealthy) => atoms::unhealthy(),
    }
}

/// One daemon for `epmd_docker:info/0`.
pub(crate) fn daemon<'a>(env: Env<'a>, info: &DaemonInfo) -> Term<'a> {
    let state = match &info.state {
        DaemonState::Unknown => atoms::unknown().encode(env),
        DaemonState::Up => atoms::up().encode(env),
        DaemonState::Down(error) => (atoms::down(), reason(env, error)).encode(env),
    };
    let version = match &info.api_version {
        Some(version) => version.to_string().encode(env),
        None => atoms::undefined().encode(env),
    };
    map(
        env,
        &[
            (atoms::daemon(), info.endpoint.to_string().encode(env)),
            (atoms::tls(), info.tls.encode(env)),
            (atoms::source(), context::origin(env, &info.origin)),
            (atoms::state(), state),
            (atoms::api_version(), version),
            (atoms::requests(), info.requests.encode(env)),
            (atoms::coalesced(), info.coalesced.encode(env)),
            (atoms::in_flight(), info.in_flight.encode(env)),
            (atoms::reconnects(), info.reconnects.encode(env)),
            (atoms::watch(), watch(env, &info.watch)),
            (atoms::containers(), info.containers.encode(env)),
            (atoms::known(), info.known.encode(env)),
        ],
    )
}

fn watch<'a>(env: Env<'a>, state: &WatchState) -> Term<'a> {
    match state {
        WatchState::Off => atoms::off().encode(env),
        WatchState::Starting => atoms::starting().encode(env),
        WatchState::Following => atoms::following().encode(env),
        WatchState::Lost(error) => (atoms::lost(), reason(env, error)).encode(env),
        WatchState::Forbidden(error) => (atoms::forbidden(), reason(env, error)).encode(env),
    }
}

/// The value of `key` in a map of settings.
pub(crate) fn get<'a>(map: Term<'a>, key: Atom) -> Option<Term<'a>> {
    MapIterator::new(map)?.find_map(|(name, value)| (key == name).then_some(value))
}
