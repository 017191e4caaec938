//! The local daemon is located when it is first needed, and kept once it has answered.

#![allow(clippy::unwrap_used)]

mod support;

use std::path::{Path, PathBuf};

use docker_discovery::{
    ContextFault, ContextName, DaemonState, Endpoint, Errno, Error, Locator, Origin, Resolver,
    Settings,
};
use support::*;

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// `docker context create prod --docker host=HOST`
    fn context(&self, host: &Endpoint) {
        let dir = self.0.join("contexts/meta").join(PROD);
        std::fs::create_dir_all(&dir).unwrap();
        let meta = format!(r#"{{"Name":"prod","Endpoints":{{"docker":{{"Host":"{host}"}}}}}}"#);
        std::fs::write(dir.join("meta.json"), meta).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// `printf prod | sha256sum`
const PROD: &str = "6754af9632a2745e85c293e5aac0863370d9bd3330b9938c00cadfd215227d77";

const APP: &str = "x@app";

fn connect(endpoint: &Endpoint, errno: Errno) -> Error {
    let endpoint = endpoint.to_string();
    Error::Connect { endpoint, errno }
}

fn resolver(default: &Endpoint, locator: Locator) -> Resolver {
    Resolver::new(Settings {
        docker_host: default.clone(),
        locator: Some(locator),
        ..Settings::default()
    })
}

fn in_context(folder: &Folder) -> Locator {
    Locator::new(
        Some(ContextName::parse("prod").unwrap()),
        Some(folder.0.clone()),
        None,
    )
}

fn nowhere() -> Endpoint {
    Endpoint::parse("/tmp/no/such/docker.sock").unwrap()
}

fn path_of(engine: &Engine) -> PathBuf {
    Path::new(engine.endpoint.to_string().strip_prefix("unix://").unwrap()).to_owned()
}

#[tokio::test]
async fn nothing_is_looked_at_before_the_first_lookup() {
    let folder = Folder::new("locate-lazy");
    let resolver = resolver(&nowhere(), in_context(&folder));
    assert_eq!(resolver.daemons()[0].origin, Origin::Unknown);
    assert_eq!(resolver.daemons()[0].state, DaemonState::Unknown);
    // The context comes after the resolver.
    let engine = Engine::unix(world(vec![app()])).await;
    folder.context(&engine.endpoint);
    assert!(lookup(&resolver, APP).await.is_ok());
    let daemon = &resolver.daemons()[0];
    assert_eq!(daemon.origin, Origin::Context("prod".to_owned()));
    assert_eq!(daemon.endpoint, engine.endpoint);
}

#[tokio::test]
async fn a_context_that_is_mended_is_used_without_a_restart() {
    let folder = Folder::new("locate-mended");
    let resolver = resolver(&nowhere(), in_context(&folder));
    let error = Error::Context {
        name: "prod".to_owned(),
        fault: ContextFault::NotFound,
    };
    assert_eq!(lookup(&resolver, APP).await, Err(error.clone()));
    assert_eq!(resolver.daemons()[0].state, DaemonState::Down(error));
    folder.context(&nowhere());
    let unreached = Err(connect(&nowhere(), Errno::Enoent));
    assert_eq!(lookup(&resolver, APP).await, unreached);
    let engine = Engine::unix(world(vec![app()])).await;
    folder.context(&engine.endpoint);
    assert!(lookup(&resolver, APP).await.is_ok());
    assert_eq!(resolver.daemons()[0].state, DaemonState::Up);
}

#[tokio::test]
async fn the_socket_that_answered_first_is_kept() {
    let engine = Engine::unix(world(vec![app()])).await;
    let default = Folder::new("locate-default");
    let default = Endpoint::parse(default.0.join("docker.sock").to_str().unwrap()).unwrap();
    let sockets = vec![
        (Origin::Rootless, PathBuf::from("/tmp/no/such.sock")),
        (Origin::Podman, path_of(&engine)),
    ];
    let locator = Locator {
        sockets,
        ..Locator::default()
    };
    let resolver = resolver(&default, locator);
    assert!(lookup(&resolver, APP).await.is_ok());
    assert_eq!(resolver.daemons()[0].origin, Origin::Podman);
    // It goes away for a while: no other one takes its place.
    std::fs::remove_file(path_of(&engine)).unwrap();
    let (connections, mut last) = (engine.connections(), Ok(()));
    for _ in 0..20 {
        last = lookup(&resolver, APP).await.map(|_| ());
    }
    assert!(last.is_ok(), "over the connection that is there: {last:?}");
    assert_eq!(engine.connections(), connections);
    assert_eq!(resolver.daemons()[0].endpoint, engine.endpoint);
}

#[tokio::test]
async fn a_socket_that_comes_later_is_found() {
    let folder = Folder::new("locate-later");
    let engine = Engine::unix(world(vec![app()])).await;
    let late = folder.0.join("docker.sock");
    let sockets = vec![(Origin::Rootless, late.clone())];
    let locator = Locator {
        sockets,
        ..Locator::default()
    };
    let resolver = resolver(&nowhere(), locator);
    let unreached = Err(connect(&nowhere(), Errno::Enoent));
    assert_eq!(lookup(&resolver, APP).await, unreached);
    assert_eq!(resolver.daemons()[0].origin, Origin::Default);
    std::os::unix::fs::symlink(path_of(&engine), &late).unwrap();
    assert!(lookup(&resolver, APP).await.is_ok());
    assert_eq!(resolver.daemons()[0].origin, Origin::Rootless);
}

#[tokio::test]
async fn many_lookups_at_once_look_once() {
    let folder = Folder::new("locate-many");
    let engine = Engine::unix(world(vec![app()])).await;
    folder.context(&engine.endpoint);
    let resolver = resolver(&nowhere(), in_context(&folder));
    let lookups = (0..256).map(|_| lookup(&resolver, APP));
    let found = futures_util::future::join_all(lookups).await;
    assert!(found.iter().all(Result::is_ok));
    assert_eq!(engine.connections(), 1);
}

#[tokio::test]
async fn the_daemon_of_a_context_is_no_other_hosts() {
    // 8.8.8.8 is not among the allowed hosts; the user's own daemon may be anywhere.
    let folder = Folder::new("locate-own");
    let engine = Engine::tcp(world(vec![app()])).await;
    folder.context(&engine.endpoint);
    let locator = in_context(&folder);
    let resolver = Resolver::new(Settings {
        docker_host: nowhere(),
        locator: Some(locator),
        daemon_port: engine.port(),
        allowed_hosts: docker_discovery::AllowedHosts::parse(&["10.0.0.0/8"]).unwrap(),
        ..Settings::default()
    });
    let asked = lookup(&resolver, "0123456789ab@127.0.0.1").await;
    assert_ne!(asked, Err(Error::HostNotAllowed("127.0.0.1".to_owned())));
    assert_eq!(resolver.daemons().len(), 1);
}
