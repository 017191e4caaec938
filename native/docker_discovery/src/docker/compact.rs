//! Small forms of what is kept of each container, for there may be 10,000 of
//! them: a map of one entry takes half a KiB, these take what is in them.

use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// Ends each text; a text that holds one itself is no name of anything.
const END: char = '\0';

/// A few short texts, in one piece.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Texts(Box<str>);

impl Texts {
    /// In this order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split_terminator(END)
    }

    pub(crate) fn weight(&self) -> usize {
        self.0.len()
    }

    /// With those that it does not have yet.
    pub(crate) fn join(self, others: &Self) -> Self {
        let own: HashSet<&str> = self.iter().collect();
        let new = others.iter().filter(|other| !own.contains(other));
        let mut all = String::from(&*self.0);
        new.for_each(|text| add(&mut all, text));
        Self(all.into())
    }
}

fn add(all: &mut String, text: &str) {
    if !text.contains(END) {
        all.push_str(text);
        all.push(END);
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;

        impl<'de> Visitor<'de> for List {
            type Value = Texts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of texts")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Texts, A::Error> {
                let mut all = String::new();
                while let Some(text) = list.next_element::<String>()? {
                    add(&mut all, &text);
                }
                Ok(Texts(all.into()))
            }
        }

        deserializer.deserialize_seq(List)
    }
}

/// A few short pairs of texts, in one piece.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Pairs(Box<str>);

impl Pairs {
    pub(crate) fn weight(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut texts = self.0.split_terminator(END);
        std::iter::from_fn(move || Some((texts.next()?, texts.next()?)))
    }
}

impl FromIterator<(String, String)> for Pairs {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        let mut all = String::new();
        for (key, value) in pairs {
            if !key.contains(END) && !value.contains(END) {
                all.extend([key.as_str(), "\0", value.as_str(), "\0"]);
            }
        }
        Self(all.into())
    }
}

impl fmt::Debug for Pairs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// A small map, in the order of its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sorted<V>(Box<[(Box<str>, V)]>);

impl<V> Default for Sorted<V> {
    fn default() -> Self {
        Self(Box::default())
    }
}

impl<V> Sorted<V> {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &V)> {
        self.0.iter().map(|(key, value)| (&**key, value))
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.iter().any(|(own, _)| own == key)
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Sorted<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map<V>(PhantomData<V>);

        impl<'de, V: Deserialize<'de>> Visitor<'de> for Map<V> {
            type Value = Sorted<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Sorted<V>, A::Error> {
                let mut entries: Vec<(Box<str>, V)> = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                entries.sort_by(|(one, _), (other, _)| one.cmp(other));
                entries.dedup_by(|(one, _), (other, _)| one == other);
                Ok(Sorted(entries.into()))
            }
        }

        deserializer.deserialize_map(Map(PhantomData))
    }
}

/// For `#[serde(deserialize_with)]`: an address; none where there is no text,
/// or a text that is none of this family.
pub(crate) fn address<'de, D, A>(deserializer: D) -> Result<Option<A>, D::Error>
where
    D: Deserializer<'de>,
    A: FromStr,
{
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.and_then(|text| text.parse().ok()))
}
