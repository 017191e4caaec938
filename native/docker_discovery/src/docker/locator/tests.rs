//! Where the local daemon is looked for, on folders as Docker writes them.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use super::*;
use crate::docker::endpoint::EndpointError;

/// A folder that goes with the test.
struct Home(PathBuf);

impl Home {
    fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, SeqCst);
        let name = format!("locator-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn socket(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        // The file stays when the listener goes.
        UnixListener::bind(&path).unwrap();
        path
    }

    /// The default daemon of this machine would be here.
    fn default(&self) -> Endpoint {
        Endpoint::parse(self.path("docker.sock").to_str().unwrap()).unwrap()
    }

    fn locator(&self) -> Locator {
        Locator {
            context: None,
            config_dir: Some(self.path("config")),
            sockets: vec![
                (Origin::Rootless, self.path("run/docker.sock")),
                (Origin::Podman, self.path("run/podman/podman.sock")),
            ],
        }
    }

    fn in_context(&self, name: &str) -> Result<Located, Error> {
        let locator = Locator {
            context: Some(ContextName::parse(name).unwrap()),
            ..self.locator()
        };
        locator.locate(&self.default())
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// `printf prod | sha256sum`
const PROD: &str = "6754af9632a2745e85c293e5aac0863370d9bd3330b9938c00cadfd215227d77";

fn meta(host: &str) -> String {
    // As docker 20.10 to 28.2 write it.
    format!(
        r#"{{"Name":"prod","Metadata":{{}},"Endpoints":{{"docker":{{"Host":"{host}","SkipTLSVerify":false}}}}}}"#
    )
}

fn meta_file() -> String {
    format!("config/contexts/meta/{PROD}/meta.json")
}

fn at(endpoint: &str, origin: Origin) -> Spot {
    Spot::new(Endpoint::parse(endpoint).unwrap(), origin)
}

fn prod() -> Origin {
    Origin::Context("prod".to_owned())
}

fn failed(fault: ContextFault) -> Result<Located, Error> {
    Err(Error::Context {
        name: "prod".to_owned(),
        fault,
    })
}

#[test]
fn the_setting_chooses_a_context_before_config_json_does() {
    let home = Home::new();
    home.write("config/config.json", r#"{"currentContext":"other"}"#);
    home.write(&meta_file(), &meta("tcp://10.0.0.2:4243"));
    let located = home.in_context("prod").unwrap();
    assert_eq!(located.spot, at("tcp://10.0.0.2:4243", prod()));
    assert_eq!(located.notice, None);
    home.write(
        "config/config.json",
        r#"{"auths":{},"currentContext":"prod"}"#,
    );
    let located = home.locator().locate(&home.default()).unwrap();
    assert_eq!(located.spot, at("tcp://10.0.0.2:4243", prod()));
    let located = home.in_context("default").unwrap();
    assert_eq!(located.spot, Spot::new(home.default(), Origin::Default));
}

#[test]
fn without_a_context_the_default_daemon_is_taken() {
    let home = Home::new();
    let default = Spot::new(home.default(), Origin::Default);
    for config in [
        "",
        "{}",
        r#"{"currentContext":""}"#,
        r#"{"currentContext":null}"#,
    ] {
        if !config.is_empty() {
            home.write("config/config.json", config);
        }
        let located = home.locator().locate(&home.default()).unwrap();
        assert_eq!((located.spot, located.notice), (default.clone(), None));
    }
    // As where HOME is not set.
    let nowhere = Locator::default().locate(&home.default()).unwrap();
    assert_eq!((nowhere.spot, nowhere.notice), (default, None));
}

#[test]
fn a_context_that_cannot_be_used_says_why() {
    let home = Home::new();
    assert_eq!(home.in_context("prod"), failed(ContextFault::NotFound));
    let homeless = Locator {
        context: Some(ContextName::parse("prod").unwrap()),
        ..Locator::default()
    };
    assert_eq!(
        homeless.locate(&home.default()),
        failed(ContextFault::NotFound)
    );
    home.write("config/config.json", r#"{"currentContext":"prod"}"#);
    let current = home.locator().locate(&home.default());
    assert_eq!(current, failed(ContextFault::NotFound));

    for garbage in [
        "",
        "{",
        "[]",
        "null",
        "{}",
        r#"{"Endpoints":{}}"#,
        r#"{"Endpoints":{"docker":{"Host":7}}}"#,
    ] {
        let path = home.write(&meta_file(), garbage);
        let malformed = ContextFault::Malformed(path.display().to_string());
        assert_eq!(home.in_context("prod"), failed(malformed), "{garbage}");
    }
    for scheme in ["ssh", "npipe", "fd"] {
        home.write(&meta_file(), &meta(&format!("{scheme}://x")));
        let refused = EndpointError::Unsupported(scheme.to_owned());
        assert_eq!(
            home.in_context("prod"),
            failed(ContextFault::Endpoint(refused))
        );
    }
    let unverified = meta("tcp://10.0.0.2:2376").replace("false", "true");
    home.write(&meta_file(), &unverified);
    assert_eq!(home.in_context("prod"), failed(ContextFault::Unverified));
    home.write("config/config.json", r#"{"currentContext":"../../etc"}"#);
    let current = home.locator().locate(&home.default());
    let name = "../../etc".to_owned();
    let fault = ContextFault::BadName;
    assert_eq!(current, Err(Error::Context { name, fault }));
}

#[test]
fn a_file_of_a_context_that_is_a_folder_is_a_posix_error() {
    let home = Home::new();
    fs::create_dir_all(home.path(&meta_file())).unwrap();
    let path = home.path(&meta_file()).display().to_string();
    let errno = Errno::Eio;
    let fault = ContextFault::Unreadable { path, errno };
    assert_eq!(home.in_context("prod"), failed(fault));
}

#[test]
fn a_config_json_that_cannot_be_read_is_told_and_does_no_harm() {
    let home = Home::new();
    for garbage in ["", "{", "\u{0}", "[1]", r#"{"currentContext":7}"#] {
        let path = home.write("config/config.json", garbage);
        let located = home.locator().locate(&home.default()).unwrap();
        assert_eq!(located.spot, Spot::new(home.default(), Origin::Default));
        let fault = ContextFault::Malformed(path.display().to_string());
        let name = "default".to_owned();
        assert_eq!(located.notice, Some(Error::Context { name, fault }));
    }
}

#[test]
fn an_endless_file_is_read_to_a_bound() {
    let home = Home::new();
    fs::create_dir_all(home.path("config")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", home.path("config/config.json")).unwrap();
    let located = home.locator().locate(&home.default()).unwrap();
    assert!(located.notice.is_some());
}

#[test]
fn the_files_for_tls_are_those_of_the_context() {
    let home = Home::new();
    home.write(&meta_file(), &meta("tcp://10.0.0.2"));
    let plain = at("tcp://10.0.0.2:2375", prod());
    assert_eq!(home.in_context("prod").unwrap().spot, plain);
    let dir = format!("config/contexts/tls/{PROD}/docker");
    let files = TlsFiles::in_dir(home.path(&dir));
    let secure = at("tcp://10.0.0.2:2376", prod()).with_tls(Some(&files));
    for file in ["key.pem", "cert.pem", "ca.pem"] {
        home.write(&format!("{dir}/{file}"), "");
        assert_eq!(home.in_context("prod").unwrap().spot, secure);
    }
    home.write(&meta_file(), &meta("unix:///run/other.sock"));
    let socket = at("unix:///run/other.sock", prod());
    assert_eq!(home.in_context("prod").unwrap().spot, socket);
}

#[test]
fn another_socket_is_taken_only_where_the_default_one_is_missing() {
    let home = Home::new();
    let look = || home.locator().locate(&home.default()).unwrap().spot;
    let spot = |name: &str, origin| at(home.path(name).to_str().unwrap(), origin);
    assert_eq!(look(), Spot::new(home.default(), Origin::Default));
    home.socket("run/podman/podman.sock");
    assert_eq!(look(), spot("run/podman/podman.sock", Origin::Podman));
    home.write("run/docker.sock", "no socket");
    assert_eq!(look(), spot("run/podman/podman.sock", Origin::Podman));
    fs::remove_file(home.path("run/docker.sock")).unwrap();
    home.socket("run/docker.sock");
    assert_eq!(look(), spot("run/docker.sock", Origin::Rootless));
    // Even where we may not use it.
    let default = home.socket("docker.sock");
    fs::set_permissions(default, fs::Permissions::from_mode(0o0)).unwrap();
    assert_eq!(look(), Spot::new(home.default(), Origin::Default));
}

#[test]
fn names_of_contexts_are_dockers() {
    for name in ["default", "prod", "a1", "my-host_2.x+y"] {
        assert_eq!(ContextName::parse(name).unwrap().as_str(), name);
    }
    for name in ["", "a", "-a", ".x", "a/b", "a b", "ab\n", "über"] {
        assert_eq!(
            ContextName::parse(name),
            Err(ContextFault::BadName),
            "{name}"
        );
    }
}
