//! Where the local daemon is when the user has not said so: as the docker
//! client finds it, by contexts, and then by the sockets that there are.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::context::store::{self, Context};
use super::context::{ContextFault, ContextName};
use super::endpoint::Endpoint;
use super::tls::{Tls, TlsFiles};
use crate::errno::Errno;
use crate::error::Error;

/// What may say where the local daemon is. Reading it takes files, so it is
/// read when the daemon is first needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Locator {
    /// `DOCKER_CONTEXT`.
    pub context: Option<ContextName>,
    /// `~/.docker`, or `DOCKER_CONFIG`.
    pub config_dir: Option<PathBuf>,
    /// Sockets to try in this order where the default one is not there.
    pub sockets: Vec<(Origin, PathBuf)>,
}

impl Locator {
    /// With the sockets of rootless engines in `runtime_dir`
    /// (`XDG_RUNTIME_DIR`), then Podman's own.
    pub fn new(
        context: Option<ContextName>,
        config_dir: Option<PathBuf>,
        runtime_dir: Option<&Path>,
    ) -> Self {
        let mut sockets = Vec::new();
        if let Some(dir) = runtime_dir {
            sockets.push((Origin::Rootless, dir.join("docker.sock")));
            sockets.push((Origin::Podman, dir.join("podman/podman.sock")));
        }
        sockets.push((Origin::Podman, PathBuf::from("/run/podman/podman.sock")));
        Self {
            context,
            config_dir,
            sockets,
        }
    }
}

/// Why a daemon is looked for where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody has looked yet.
    Unknown,
    /// The setting `docker_host`.
    Setting,
    /// The Docker context of this name.
    Context(String),
    /// It is Docker's default.
    Default,
    /// The default one is not there, and this is a rootless engine's.
    Rootless,
    /// The default one is not there, and this is Podman's.
    Podman,
    /// A node name has this host in it.
    NodeName,
}

/// Where a daemon is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) endpoint: Endpoint,
    /// The endpoint's canonical text, as it stands in errors.
    pub(crate) text: String,
    pub(crate) origin: Origin,
    pub(crate) tls: Option<Arc<Tls>>,
}

impl Spot {
    pub(crate) fn new(endpoint: Endpoint, origin: Origin) -> Self {
        Self {
            text: endpoint.to_string(),
            endpoint,
            origin,
            tls: None,
        }
    }

    /// With TLS, if it leads over TCP: a unix socket has its permissions.
    pub(crate) fn with_tls(mut self, files: Option<&TlsFiles>) -> Self {
        if let (Endpoint::Tcp { .. }, Some(files)) = (&self.endpoint, files) {
            self.tls = Some(Arc::new(Tls::new(files.clone())));
        }
        self
    }
}

/// What was found, and what the user should know of the search.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Located {
    pub(crate) spot: Spot,
    pub(crate) notice: Option<Error>,
}

/// A context, and the folder where Docker keeps it.
type Chosen = (ContextName, PathBuf);

impl Locator {
    /// Looks now; `default` is where the daemon is when nothing says another.
    /// Waits for the disk.
    pub(crate) fn locate(&self, default: &Endpoint) -> Result<Located, Error> {
        let (context, notice) = self.context()?;
        let spot = match context {
            Some((name, dir)) => in_context(&name, &dir, default)?,
            None => self.on_this_machine(default),
        };
        Ok(Located { spot, notice })
    }

    /// `DOCKER_CONTEXT`, else config.json's. As with the docker client, a
    /// config.json that cannot be read does no harm: it may be another user's.
    fn context(&self) -> Result<(Option<Chosen>, Option<Error>), Error> {
        let (name, notice) = match (&self.context, &self.config_dir) {
            (Some(name), _) => (Some(name.clone()), None),
            (None, None) => (None, None),
            (None, Some(dir)) => match store::current(dir) {
                Ok(Some(text)) => (Some(chosen(&text)?), None),
                Ok(None) => (None, None),
                Err(fault) => (None, Some(ContextName::default().failed(fault))),
            },
        };
        match (name.filter(|name| !name.is_default()), &self.config_dir) {
            (Some(name), Some(dir)) => Ok((Some((name, dir.clone())), notice)),
            (Some(name), None) => Err(name.failed(ContextFault::NotFound)),
            (None, _) => Ok((None, notice)),
        }
    }

    fn on_this_machine(&self, default: &Endpoint) -> Spot {
        if is_missing(default) {
            for (origin, path) in &self.sockets {
                let endpoint = Endpoint::parse(&path.to_string_lossy());
                if let Ok(endpoint) = endpoint
                    && is_socket(path)
                {
                    return Spot::new(endpoint, origin.clone());
                }
            }
        }
        Spot::new(default.clone(), Origin::Default)
    }
}

fn chosen(text: &str) -> Result<ContextName, Error> {
    ContextName::parse(text).map_err(|fault| Error::Context {
        name: text.chars().take(64).collect(),
        fault,
    })
}

fn in_context(name: &ContextName, dir: &Path, default: &Endpoint) -> Result<Spot, Error> {
    let Context { endpoint, tls } = store::load(dir, name).map_err(|fault| name.failed(fault))?;
    let endpoint = endpoint.unwrap_or_else(|| default.clone());
    let spot = Spot::new(endpoint, Origin::Context(name.as_str().to_owned()));
    Ok(spot.with_tls(tls.as_ref()))
}

/// Only then is there a reason to look elsewhere: where it is forbidden, the
/// user should be told so.
fn is_missing(endpoint: &Endpoint) -> bool {
    match endpoint {
        Endpoint::Unix(path) => {
            let error = fs::metadata(path).err();
            error.is_some_and(|error| Errno::from(&error) == Errno::Enoent)
        }
        _ => false,
    }
}

fn is_socket(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.file_type().is_socket())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
