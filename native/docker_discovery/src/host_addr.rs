//! The address of a host, as a node name or a setting gives it.

use std::fmt;
use std::net::IpAddr;

/// The address of a host: a literal, or a name for the system's resolver.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostAddr {
    /// An IPv4 or IPv6 literal.
    Ip(IpAddr),
    /// A host name of RFC 1123 shape.
    Name(String),
}

impl HostAddr {
    /// `None` for what is neither an address literal nor a host name. A last
    /// label of digits only is refused, because `inet_aton(3)` would read
    /// "10.1" as 10.0.0.1.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(ip) = text.parse() {
            return Some(Self::Ip(ip));
        }
        let numeric = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
        let valid = text.len() <= 253
            && text.split('.').all(is_dns_label)
            && !text.rsplit('.').next().is_some_and(numeric);
        valid.then(|| Self::Name(text.to_owned()))
    }
}

impl fmt::Display for HostAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

fn is_dns_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-')
}
