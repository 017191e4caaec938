//! Reads Docker's JSON into just the fields that a lookup uses. Docker sends
//! null where something is empty, so null is the default everywhere. Of a
//! container's environment, which holds secrets, one number is kept.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, SeqAccess, Visitor};
use serde_json::error::Category;

use crate::error::Error;

const MAX_DETAIL: usize = 200;
const DIST_PORT: &str = "ERL_DIST_PORT=";

/// Reads an answer of Docker's; [`Error::BadResponse`] says where it is wrong.
pub(crate) fn json<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|error| bad(&error))
}

pub(crate) fn bad(error: &serde_json::Error) -> Error {
    Error::BadResponse(detail(error))
}

fn detail(error: &serde_json::Error) -> String {
    let text = match error.classify() {
        Category::Eof => format!(
            "the JSON is cut off at line {} column {}",
            error.line(),
            error.column()
        ),
        _ => error.to_string(),
    };
    // serde quotes the text that it did not expect, and that may be a secret.
    let shown = match (text.find('"'), text.rfind('"')) {
        (Some(from), Some(to)) => format!("{}...{}", &text[..from], &text[to + 1..]),
        _ => text,
    };
    shown.chars().take(MAX_DETAIL).collect()
}

/// For `#[serde(deserialize_with)]`: null is the default.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// About how much memory a text takes that is kept, in bytes.
pub(crate) fn weight(text: &str) -> usize {
    64 + text.len()
}

/// A port from 1 to 65535 in decimal digits.
pub(crate) fn port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let port = digits.then(|| text.parse().ok()).flatten()?;
    (port != 0).then_some(port)
}

/// `Config.Env`, of which `ERL_DIST_PORT` is kept if it is a port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EnvPort(pub(crate) Option<u16>);

impl<'de> Deserialize<'de> for EnvPort {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Variables;

        impl<'de> Visitor<'de> for Variables {
            type Value = EnvPort;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of variables")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<EnvPort, A::Error> {
                let mut kept = None;
                while let Some(Variable(port)) = list.next_element()? {
                    kept = port.or(kept);
                }
                Ok(EnvPort(kept))
            }
        }

        deserializer.deserialize_seq(Variables)
    }
}

/// One `NAME=value`, which is looked at where it stands and not copied.
struct Variable(Option<u16>);

impl<'de> Deserialize<'de> for Variable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Variable;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a variable")
            }

            fn visit_str<E>(self, text: &str) -> Result<Variable, E> {
                Ok(Variable(text.strip_prefix(DIST_PORT).and_then(port)))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

/// The keys of a map such as `{"12345/tcp": …}`, as TCP ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TcpPorts(pub(crate) Box<[u16]>);

impl<'de> Deserialize<'de> for TcpPorts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = std::collections::BTreeMap::<String, IgnoredAny>::deserialize(deserializer)?;
        Ok(Self(map.keys().filter_map(|key| tcp_port(key)).collect()))
    }
}

/// The port of a key such as `12345/tcp`; other protocols are not for us.
pub(crate) fn tcp_port(key: &str) -> Option<u16> {
    match key.split_once('/') {
        Some((number, "tcp")) => port(number),
        Some(_) => None,
        None => port(key),
    }
}

/// A container id of Docker's own making.
pub(crate) fn container_id<'de, D>(deserializer: D) -> Result<crate::ContainerId, D::Error>
where
    D: Deserializer<'de>,
{
    let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
    crate::ContainerId::parse(&text).ok_or_else(|| D::Error::custom("the Id is not a container id"))
}
