//! A container's labels. Ours and Compose's are kept; of all others, which may
//! be long or secret, no more than it takes to recognise them.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use super::compact::Pairs;

const OURS: &str = "epmd-docker.";
/// The Compose project of a container.
pub(crate) const PROJECT: &str = "com.docker.compose.project";
/// The Compose service of a container.
pub(crate) const SERVICE: &str = "com.docker.compose.service";

static MARKS: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// One label that is looked for.
#[derive(Clone, Debug)]
pub(crate) struct Label {
    key: String,
    value: String,
    mark: u64,
}

impl Label {
    pub(crate) fn new(key: &str, value: &str) -> Self {
        Self {
            key: key.to_owned(),
            value: value.to_owned(),
            mark: mark(key, value),
        }
    }
}

/// 64 bits that nobody outside of this process can foresee.
fn mark(key: &str, value: &str) -> u64 {
    MARKS.hash_one((key, value))
}

/// Labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Labels {
    kept: Pairs,
    /// Of those that are not kept.
    marks: Box<[u64]>,
}

impl Labels {
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        let (mut kept, key) = (self.kept.iter(), kept_as(key)?);
        kept.find_map(|(name, value)| (name == key).then_some(value))
    }

    /// About how many bytes they take.
    pub(crate) fn weight(&self) -> usize {
        self.kept.weight() + size_of_val(&*self.marks)
    }

    /// What follows this prefix in the keys that begin with it; ours only.
    pub(crate) fn with_prefix(&self, prefix: &str) -> impl Iterator<Item = &str> {
        let kept = self.kept.iter();
        kept.filter_map(move |(name, _)| name.strip_prefix(prefix))
    }

    /// Whether this is one of them.
    pub(crate) fn has(&self, label: &Label) -> bool {
        match kept_as(&label.key) {
            Some(_) => self.get(&label.key) == Some(&label.value),
            None => self.marks.contains(&label.mark),
        }
    }
}

/// Nearly every container has Compose's: its keys are kept short.
fn kept_as(key: &str) -> Option<&str> {
    match key {
        PROJECT => Some("project"),
        SERVICE => Some("service"),
        key => key.starts_with(OURS).then_some(key),
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map;

        impl<'de> Visitor<'de> for Map {
            type Value = Labels;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of labels")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Labels, A::Error> {
                let (mut kept, mut marks) = (Vec::new(), Vec::new());
                while let Some((key, value)) = map.next_entry::<String, Option<Lossy>>()? {
                    let value = value.unwrap_or_default().0;
                    match kept_as(&key) {
                        Some(key) => kept.push((key.to_owned(), value)),
                        None => marks.push(mark(&key, &value)),
                    }
                }
                Ok(Labels {
                    kept: kept.into_iter().collect(),
                    marks: marks.into(),
                })
            }
        }

        deserializer.deserialize_map(Map)
    }
}

/// The text of a label, in which half a surrogate pair is no reason not to
/// read the container: Docker takes and gives what people write.
#[derive(Default)]
struct Lossy(String);

impl<'de> Deserialize<'de> for Lossy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;

        impl Visitor<'_> for Bytes {
            type Value = Lossy;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Lossy, E> {
                Ok(Lossy(String::from_utf8_lossy(bytes).into_owned()))
            }
        }

        deserializer.deserialize_bytes(Bytes)
    }
}
