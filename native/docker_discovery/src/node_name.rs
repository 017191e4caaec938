//! Node names and what may stand in them: pure parsers, whose types are the
//! proof that a text was checked. Nothing reaches a URL but through them.

use std::fmt;
use std::sync::{Arc, LazyLock};

use crate::error::Error;
use crate::host_addr::HostAddr;

/// OTP's limit for an atom, in characters (MAXATOMLEN in erts `atom.h`).
const MAX_NODE_NAME: usize = 255;
/// Digits of a container id, at least.
pub(crate) const MIN_ID: usize = 12;
/// Docker gives names no limit; this is twice a DNS label and bounds the URL.
const MAX_REFERENCE: usize = 128;

/// An Erlang node name, `name@host`, that an atom can hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeName {
    text: String,
    at: usize,
}

impl NodeName {
    /// Accepts UTF-8 of at most 255 characters with exactly one `@`, something
    /// on both sides of it, and no control characters; everything else is
    /// [`Error::BadNodeName`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        std::str::from_utf8(bytes)
            .ok()
            .and_then(Self::accept)
            .ok_or_else(|| Error::BadNodeName(lossy(bytes)))
    }

    fn accept(text: &str) -> Option<Self> {
        let (name, host) = text.split_once('@')?;
        let valid = !name.is_empty()
            && !host.is_empty()
            && !host.contains('@')
            && text.chars().count() <= MAX_NODE_NAME
            && !text.chars().any(char::is_control);
        valid.then(|| Self {
            text: text.to_owned(),
            at: name.len(),
        })
    }

    /// The part before the `@`.
    pub fn name(&self) -> &str {
        &self.text[..self.at]
    }

    /// The part after the `@`.
    pub fn host(&self) -> &str {
        &self.text[self.at + 1..]
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whom the shape of this name says to ask. A host part with a dot or a
    /// colon is a long name, as for OTP's `-name`.
    pub fn scheme(&self) -> Scheme {
        let (name, host) = (self.name(), self.host());
        if !is_plain_name(name) {
            return Scheme::Other;
        }
        let scheme = if host.contains(['.', ':']) {
            ContainerId::parse(name)
                .zip(HostAddr::parse(host))
                .map(|(id, host)| Scheme::OnHost { id, host })
        } else if host == "localhost" {
            None
        } else {
            ContainerRef::parse(host).map(|container| Scheme::InContainer {
                name: name.to_owned(),
                container,
            })
        };
        scheme.unwrap_or(Scheme::Other)
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What the shape of a node name says about where the node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `ContainerId@HostAddr`: ask the Docker daemon of that host.
    OnHost {
        /// The container.
        id: ContainerId,
        /// The Docker host that it runs on.
        host: HostAddr,
    },
    /// `Name@ContainerRef`: ask the local daemon.
    InContainer {
        /// The node's name within the container.
        name: String,
        /// The container.
        container: ContainerRef,
    },
    /// Not a name of Docker's; it is never asked about this one.
    Other,
}

/// A Docker container id or a prefix of one: 12 to 64 lower-case hex digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContainerId(Arc<str>);

impl ContainerId {
    /// `None` for anything but 12 to 64 lower-case hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        let hex = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        ((MIN_ID..=64).contains(&text.len()) && text.bytes().all(hex)).then(|| Self(text.into()))
    }

    /// None is before this one.
    pub(crate) fn first() -> Self {
        static FIRST: LazyLock<ContainerId> =
            LazyLock::new(|| ContainerId("0".repeat(MIN_ID).into()));
        FIRST.clone()
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `prefix` names this id.
    pub fn starts_with(&self, prefix: &ContainerId) -> bool {
        self.0.starts_with(&*prefix.0)
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What Docker may know a container by: an id, a name, a hostname or a network
/// alias. It follows Docker's rule for names (`[a-zA-Z0-9][a-zA-Z0-9_.-]*`),
/// so it can stand in a URL's path as it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContainerRef(String);

impl ContainerRef {
    /// `None` for a text that breaks the rule or is longer than 128 bytes.
    pub fn parse(text: &str) -> Option<Self> {
        let starts_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        (starts_well && text.len() <= MAX_REFERENCE && is_plain_name(text))
            .then(|| Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContainerRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<ContainerId> for ContainerRef {
    fn from(id: ContainerId) -> Self {
        Self(id.0.as_ref().to_owned())
    }
}

fn is_plain_name(text: &str) -> bool {
    text.bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

fn lossy(bytes: &[u8]) -> String {
    // A character takes at most four bytes; more need not be looked at.
    let head = &bytes[..bytes.len().min(MAX_NODE_NAME * 4)];
    String::from_utf8_lossy(head)
        .chars()
        .take(MAX_NODE_NAME)
        .collect()
}
