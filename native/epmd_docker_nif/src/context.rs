//! How the local daemon is located, between terms and values: the settings that say so, what was found,
//! and `epmd_docker_context:fault()` for why a Docker context cannot be used.

use std::path::{Path, PathBuf};

use docker_discovery::{ContextFault, ContextName, Locator, Origin};
use rustler::{Encoder, Env, Term};

use crate::atoms;
use crate::encode::word;
use crate::settings::{BadSetting, checked, optional};

/// # Errors
/// A context that can have no such name, or a setting of another type.
pub(crate) fn locator(map: Term<'_>) -> Result<Locator, BadSetting> {
    let name = optional::<String>(map, atoms::docker_context())?;
    let name = name.map(|text| checked(atoms::docker_context(), ContextName::parse(&text)));
    let config_dir = optional::<String>(map, atoms::docker_config())?;
    let runtime_dir = optional::<String>(map, atoms::runtime_dir())?;
    Ok(Locator::new(
        name.transpose()?,
        config_dir.map(PathBuf::from),
        runtime_dir.as_deref().map(Path::new),
    ))
}

/// Why a daemon is looked for where it is.
pub(crate) fn origin<'a>(env: Env<'a>, origin: &Origin) -> Term<'a> {
    match origin {
        Origin::Unknown => atoms::unknown().encode(env),
        Origin::Setting => atoms::docker_host().encode(env),
        Origin::Context(name) => (atoms::docker_context(), name).encode(env),
        Origin::Default => atoms::default().encode(env),
        Origin::Rootless => atoms::rootless().encode(env),
        Origin::Podman => atoms::podman().encode(env),
        Origin::NodeName => atoms::node_name().encode(env),
    }
}

pub(crate) fn fault<'a>(env: Env<'a>, fault: &ContextFault) -> Term<'a> {
    match fault {
        ContextFault::BadName => atoms::bad_name().encode(env),
        ContextFault::NotFound => atoms::not_found().encode(env),
        ContextFault::Unreadable { path, errno } => {
            (atoms::unreadable(), path, word(env, errno.as_str())).encode(env)
        }
        ContextFault::Malformed(path) => (atoms::malformed(), path).encode(env),
        ContextFault::Unverified => atoms::unverified().encode(env),
        // Also what this file does not know yet: the enum is non_exhaustive.
        other => (atoms::endpoint(), other.to_string()).encode(env),
    }
}
