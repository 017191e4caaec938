//! From a word to the containers that are called so.

#[cfg(any(test, feature = "fuzzing"))]
use std::collections::BTreeMap;
use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::ops::Bound;
use std::sync::Arc;

use super::Entry;
use crate::node_name::{ContainerId, MIN_ID};

/// The ways from a word to a container.
#[derive(Debug, Default)]
pub(super) struct Words {
    /// By name. Docker lets no two containers have the same.
    names: HashMap<Arc<str>, ContainerId>,
    /// By Compose service, hostname and alias, of which there are several for
    /// each container: a number for each word spares the words. Who takes a
    /// container from here looks at what it is called.
    called: BTreeSet<(u64, ContainerId)>,
    hasher: RandomState,
    /// How many run, or may run, and were not looked at since they changed.
    pub(super) unseen: usize,
}

impl Words {
    /// The container of this name.
    pub(super) fn named(&self, name: &str) -> Option<&ContainerId> {
        self.names.get(name)
    }

    /// The containers that may be called so.
    pub(super) fn called(&self, word: &str) -> impl Iterator<Item = &ContainerId> {
        let number = self.hasher.hash_one(word);
        let from = Bound::Included((number, ContainerId::first()));
        let found = self.called.range((from, Bound::Unbounded));
        found
            .take_while(move |(other, _)| *other == number)
            .map(|(_, id)| id)
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.called.len()
    }

    /// Whether they are those of the entries.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn check(&self, entries: &BTreeMap<ContainerId, Entry>) {
        let mut words = Self {
            hasher: self.hasher.clone(),
            ..Self::default()
        };
        for (id, entry) in entries {
            words.add(id, entry);
        }
        assert_eq!(words.unseen, self.unseen);
        assert_eq!(words.called, self.called);
        for (name, id) in &self.names {
            assert_eq!(entries[id].name, *name);
        }
    }

    pub(super) fn add(&mut self, id: &ContainerId, entry: &Entry) {
        self.unseen += usize::from(entry.is_unseen());
        if !entry.name.is_empty() {
            self.names.insert(Arc::clone(&entry.name), id.clone());
        }
        for number in self.numbers(id, entry) {
            self.called.insert((number, id.clone()));
        }
    }

    pub(super) fn remove(&mut self, id: &ContainerId, entry: &Entry) {
        self.unseen -= usize::from(entry.is_unseen());
        // Another one may have got the name meanwhile.
        if self.names.get(&entry.name) == Some(id) {
            self.names.remove(&entry.name);
        }
        for number in self.numbers(id, entry) {
            self.called.remove(&(number, id.clone()));
        }
    }

    /// Without its own id, of which Docker makes a hostname and an alias: that
    /// is found as such.
    fn numbers(&self, id: &ContainerId, entry: &Entry) -> Vec<u64> {
        let is_own = |word: &str| word.len() >= MIN_ID && id.as_str().starts_with(word);
        let words = entry.details.iter().flat_map(|one| one.also_called());
        let words = words.filter(|word| !is_own(word));
        words.map(|word| self.hasher.hash_one(word)).collect()
    }
}
