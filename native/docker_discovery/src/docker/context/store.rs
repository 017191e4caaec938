//! What `docker context` keeps below `~/.docker`: where the daemon of each
//! context listens, and what for TLS belongs to it.
//!
//! The names of the files, and which JSON is in them, are those of docker/cli
//! (`cli/context/store`). All of this waits for a disk, so none of it may run on
//! the thread that serves connections.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{ContextFault, ContextName};
use crate::docker::endpoint::Endpoint;
use crate::docker::tls::TlsFiles;
use crate::errno::Errno;

/// Both files hold some hundred bytes; config.json also logins.
const MAX_FILE: u64 = 1 << 20;

/// Where a context's daemon listens: no endpoint is Docker's default one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Context {
    pub(crate) endpoint: Option<Endpoint>,
    pub(crate) tls: Option<TlsFiles>,
}

#[derive(Deserialize)]
struct Config {
    #[serde(rename = "currentContext")]
    current: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Meta {
    endpoints: Option<Endpoints>,
}

#[derive(Deserialize)]
struct Endpoints {
    docker: Option<DockerEndpoint>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerEndpoint {
    host: Option<String>,
    #[serde(default, rename = "SkipTLSVerify")]
    skip_verify: bool,
}

/// The context that `docker context use` chose, if any; `dir` is `~/.docker`.
pub(crate) fn current(dir: &Path) -> Result<Option<String>, ContextFault> {
    match read::<Config>(&dir.join("config.json")) {
        Ok(config) => Ok(config.current.filter(|name| !name.is_empty())),
        Err(ContextFault::NotFound) => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// What is kept of a context.
pub(crate) fn load(dir: &Path, name: &ContextName) -> Result<Context, ContextFault> {
    let digest = name.digest();
    let contexts = dir.join("contexts");
    let file = contexts.join("meta").join(&digest).join("meta.json");
    let meta: Meta = read(&file)?;
    let docker = meta.endpoints.and_then(|endpoints| endpoints.docker);
    let docker = docker.ok_or_else(|| ContextFault::Malformed(file.display().to_string()))?;
    let tls = tls(&contexts.join("tls").join(&digest).join("docker"));
    let parse = match tls {
        Some(_) => Endpoint::parse_tls,
        None => Endpoint::parse,
    };
    let host = docker.host.filter(|host| !host.is_empty());
    let endpoint = host.map(|host| parse(&host)).transpose();
    let endpoint = endpoint.map_err(ContextFault::Endpoint)?;
    if docker.skip_verify && matches!(endpoint, Some(Endpoint::Tcp { .. })) {
        return Err(ContextFault::Unverified);
    }
    Ok(Context { endpoint, tls })
}

/// A context has TLS where it has any of these files.
fn tls(dir: &Path) -> Option<TlsFiles> {
    let files = TlsFiles::in_dir(dir);
    let any = [&files.ca, &files.cert, &files.key];
    any.iter().any(|path| path.exists()).then_some(files)
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, ContextFault> {
    let text = || path.display().to_string();
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_FILE).read_to_end(&mut bytes));
    match read {
        Ok(_) => serde_json::from_slice(&bytes).map_err(|_| ContextFault::Malformed(text())),
        Err(error) => Err(match Errno::from(&error) {
            Errno::Enoent => ContextFault::NotFound,
            errno => ContextFault::Unreadable {
                path: text(),
                errno,
            },
        }),
    }
}
