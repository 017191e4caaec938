//! Where a Docker daemon listens. Whether TLS is spoken there is not a matter
//! of the address: Docker's own client has settings for that.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::host_addr::HostAddr;

/// The ports that Docker uses where none is given.
const PLAIN_PORT: u16 = 2375;
const TLS_PORT: u16 = 2376;
/// `sun_path` holds 108 bytes on Linux and 104 on macOS, with the final 0.
const MAX_SOCKET_PATH: usize = 103;

/// Where a Docker daemon listens.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A unix socket.
    Unix(PathBuf),
    /// TCP.
    Tcp {
        /// The host.
        host: HostAddr,
        /// The port.
        port: u16,
    },
}

impl Endpoint {
    /// Reads what may stand in `DOCKER_HOST`: `unix:///path`, `/path`,
    /// `tcp://host[:port]` or `http://host[:port]`.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        Self::parse_with_port(text, PLAIN_PORT)
    }

    /// The same for a daemon that speaks TLS: the port is then another one
    /// where none is given.
    pub fn parse_tls(text: &str) -> Result<Self, EndpointError> {
        Self::parse_with_port(text, TLS_PORT)
    }

    fn parse_with_port(text: &str, port: u16) -> Result<Self, EndpointError> {
        let malformed = || EndpointError::Malformed(text.to_owned());
        if text.starts_with('/') {
            return Self::unix(text).ok_or_else(malformed);
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(malformed)?;
        match scheme {
            "unix" => Self::unix(rest),
            "tcp" | "http" => Self::tcp(rest.strip_suffix('/').unwrap_or(rest), port),
            "ssh" | "npipe" | "https" | "fd" => {
                return Err(EndpointError::Unsupported(scheme.to_owned()));
            }
            _ => None,
        }
        .ok_or_else(malformed)
    }

    fn unix(path: &str) -> Option<Self> {
        let valid = path.starts_with('/')
            && path.len() > 1
            && path.len() <= MAX_SOCKET_PATH
            && !path.chars().any(char::is_control);
        valid.then(|| Self::Unix(PathBuf::from(path)))
    }

    fn tcp(authority: &str, default: u16) -> Option<Self> {
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let (literal, port) = rest.split_once(']')?;
                let host = HostAddr::Ip(literal.parse::<std::net::Ipv6Addr>().ok()?.into());
                let port = match port {
                    "" => None,
                    port => Some(port.strip_prefix(':')?),
                };
                (host, port)
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (HostAddr::parse(host)?, Some(port)),
                None => (HostAddr::parse(authority)?, None),
            },
        };
        let port = port.map_or(Some(default), parse_port)?;
        Some(Self::Tcp { host, port })
    }
}

fn parse_port(digits: &str) -> Option<u16> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    let port = plain.then(|| digits.parse().ok()).flatten()?;
    (port != 0).then_some(port)
}

impl Default for Endpoint {
    fn default() -> Self {
        Self::Unix(Path::new("/var/run/docker.sock").to_path_buf())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp { host, port } => write!(f, "tcp://{}", Authority(host, *port)),
        }
    }
}

/// `host:port` as it stands in a URL, an IPv6 literal in brackets.
pub(crate) struct Authority<'a>(pub(crate) &'a HostAddr, pub(crate) u16);

impl fmt::Display for Authority<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self(HostAddr::Ip(std::net::IpAddr::V6(ip)), port) => write!(f, "[{ip}]:{port}"),
            Self(host, port) => write!(f, "{host}:{port}"),
        }
    }
}

/// A text that is not an endpoint for us.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointError {
    /// A way to a daemon that is not spoken here: its scheme.
    Unsupported(String),
    /// Not an endpoint at all: the text.
    Malformed(String),
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported(scheme) => {
                let advice = match scheme.as_str() {
                    "ssh" => {
                        "run ssh -nNT -L /tmp/docker.sock:/var/run/docker.sock HOST and use unix:///tmp/docker.sock"
                    }
                    "npipe" => {
                        "that is a pipe of Windows; let the daemon listen on tcp://HOST:PORT and use that"
                    }
                    "https" => {
                        "write tcp://, and switch TLS on (DOCKER_TLS_VERIFY, DOCKER_CERT_PATH)"
                    }
                    "fd" => {
                        "that is how a daemon gets its socket from systemd; use unix:///var/run/docker.sock"
                    }
                    _ => "use unix:///PATH or tcp://HOST:PORT",
                };
                write!(f, "{scheme}:// is not supported: {advice}")
            }
            Self::Malformed(text) => write!(
                f,
                "{text:?} is not a Docker endpoint: use unix:///PATH or tcp://HOST:PORT"
            ),
        }
    }
}

impl std::error::Error for EndpointError {}
