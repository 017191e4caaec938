//! The terms of [`docker_discovery::Explained`]: `epmd_docker_nif:explained()`.

use docker_discovery::{Candidate, DistPort, Explained, PortSource, Refusal, Verdict, Via};
use rustler::{Encoder, Env, Term};

use crate::atoms;
use crate::encode;
use crate::job::Encode;

impl Encode for Explained {
    fn to_term<'a>(&self, env: Env<'a>) -> Term<'a> {
        let mut pairs = vec![
            (atoms::daemon(), self.daemon.encode(env)),
            (atoms::candidates(), list(env, &self.candidates)),
        ];
        if let Some(info) = &self.container {
            pairs.push((atoms::container(), encode::container(env, info)));
        }
        if let Some((port, source)) = self.port {
            let port = match port {
                DistPort::Known(port) => port.encode(env),
                DistPort::Epmd => atoms::epmd().encode(env),
            };
            pairs.push((atoms::port(), (port, source_atom(source)).encode(env)));
        }
        if let Some(error) = &self.error {
            pairs.push((atoms::error(), encode::reason(env, error)));
        }
        encode::map(env, &pairs)
    }
}

fn list<'a>(env: Env<'a>, candidates: &[Candidate]) -> Term<'a> {
    let terms: Vec<_> = candidates.iter().map(|one| candidate(env, one)).collect();
    terms.encode(env)
}

fn candidate<'a>(env: Env<'a>, one: &Candidate) -> Term<'a> {
    let address = match one.address {
        Some(ip) => encode::address(env, ip),
        None => atoms::undefined().encode(env),
    };
    let port = match (one.port, &one.via) {
        (Some(port), _) => port.encode(env),
        (None, Via::Published) => atoms::undefined().encode(env),
        (None, _) => atoms::epmd().encode(env),
    };
    let verdict = match one.verdict {
        Verdict::Taken => atoms::taken().encode(env),
        Verdict::Spare(_) => atoms::spare().encode(env),
        Verdict::Refused(refusal) => (atoms::refused(), refusal_atom(refusal)).encode(env),
    };
    encode::map(
        env,
        &[
            (atoms::address(), address),
            (atoms::port(), port),
            (atoms::via(), encode::via(env, &one.via)),
            (atoms::verdict(), verdict),
        ],
    )
}

fn source_atom(source: PortSource) -> rustler::Atom {
    match source {
        PortSource::Label => atoms::label(),
        PortSource::Environment => atoms::environment(),
        PortSource::Setting => atoms::remote_port(),
        PortSource::Default => atoms::default(),
        PortSource::Epmd => atoms::epmd(),
        PortSource::Given => atoms::table(),
    }
}

fn refusal_atom(refusal: Refusal) -> rustler::Atom {
    match refusal {
        Refusal::NotWanted => atoms::not_wanted(),
        Refusal::NameOfHost => atoms::name_of_host(),
        Refusal::OtherHost => atoms::other_host(),
        Refusal::OtherNetwork => atoms::other_network(),
        Refusal::OtherFamily => atoms::other_family(),
        Refusal::NotShared => atoms::not_shared(),
        Refusal::NotPublished => atoms::not_published(),
        Refusal::PortUnknown => atoms::port_unknown(),
        Refusal::Loopback => atoms::loopback_only(),
        Refusal::NoHostAddress => atoms::no_host_address(),
        Refusal::InContainer => atoms::in_container(),
        Refusal::HostNotAllowed => atoms::host_not_allowed(),
        _ => atoms::unknown(),
    }
}
