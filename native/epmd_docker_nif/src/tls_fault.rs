//! Why there is no TLS session with a daemon, as a term: `epmd_docker_tls:fault()` in Erlang.

use docker_discovery::TlsFault;
use rustler::{Encoder, Env, Term};

use crate::atoms;
use crate::encode::word;

pub(crate) fn term<'a>(env: Env<'a>, fault: &TlsFault) -> Term<'a> {
    match fault {
        TlsFault::File { path, fault } => {
            (atoms::file(), path, word(env, fault.as_str())).encode(env)
        }
        TlsFault::NotTls => atoms::not_tls().encode(env),
        TlsFault::Closed => atoms::closed().encode(env),
        TlsFault::Timeout => atoms::timeout().encode(env),
        TlsFault::NoCommonVersion => atoms::no_common_version().encode(env),
        TlsFault::UnknownCa => atoms::unknown_ca().encode(env),
        TlsFault::WrongName(names) => (atoms::wrong_name(), names).encode(env),
        TlsFault::Expired => atoms::expired().encode(env),
        TlsFault::NotYetValid => atoms::not_yet_valid().encode(env),
        TlsFault::BadCertificate(text) => (atoms::bad_certificate(), text).encode(env),
        TlsFault::ClientCertificateRequired => atoms::client_certificate_required().encode(env),
        TlsFault::ClientCertificateRefused(refusal) => {
            let refusal = word(env, refusal.as_str());
            (atoms::client_certificate_refused(), refusal).encode(env)
        }
        TlsFault::Alert(name) => (atoms::alert(), name).encode(env),
        // The enum is non_exhaustive: a variant that this file does not know yet still answers.
        other => (atoms::other(), other.to_string()).encode(env),
    }
}
