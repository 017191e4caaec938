//! What is known of the containers of one daemon: pure data, without IO.
//!
//! The list of containers says which there are; what one looks like is only
//! ever taken from an inspect. An event that touches a container makes what is
//! known of it old (no longer `fresh`) until it has been inspected again, so
//! that nothing here has to guess what an event did.

mod absent;
mod change;
mod find;
mod news;
mod words;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::docker::container::Container;
use crate::docker::events::EventTime;
use crate::node_name::ContainerId;

use absent::Absent;
pub(crate) use news::News;
use words::Words;

/// Containers that somebody asked for before the index was there to know them.
const MAX_ASKED: usize = 1024;

/// A moment of the index: it moves on with each change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark(u64);

/// The containers of a daemon.
#[derive(Debug, Default)]
pub(crate) struct Index {
    entries: BTreeMap<ContainerId, Entry>,
    words: Words,
    /// About how much memory the entries take.
    weight: usize,
    now: Mark,
    /// When the stream of events began that is followed now.
    stream: Option<Mark>,
    /// Whether the list was read since then: only now can it be said what is not there.
    live: bool,
    /// What was removed while a list was on its way, if one is.
    removed: Option<HashSet<ContainerId>>,
    asked: HashSet<ContainerId>,
    /// Whether all that runs is of interest, and not just what was asked for:
    /// there are subscribers.
    eager: bool,
    /// What is sure not to be there.
    absent: Absent,
    /// Of the last event.
    last_event: Option<EventTime>,
    news: Vec<News>,
}

/// A container.
#[derive(Debug, Default)]
struct Entry {
    name: Arc<str>,
    /// Whether it runs, or may run.
    runs: bool,
    /// When an event last said that it changes.
    touched: Mark,
    /// When the last list was asked for that has it.
    listed: Mark,
    /// The last inspect.
    details: Option<Arc<Container>>,
    /// Whether nothing has happened to it since that inspect.
    fresh: bool,
    /// Whether subscribers know of it.
    told: bool,
}

impl Entry {
    fn is_unseen(&self) -> bool {
        self.runs && !self.fresh
    }

    fn weight(&self) -> usize {
        self.name.len() + self.details.as_ref().map_or(0, |one| one.weight())
    }
}

impl Index {
    /// Now.
    pub(crate) fn mark(&self) -> Mark {
        self.now
    }

    /// How many containers there are, and how many of them are known.
    pub(crate) fn count(&self) -> (usize, usize) {
        let fresh = |entry: &&Entry| entry.fresh;
        let known = self.entries.values().filter(fresh).count();
        (self.entries.len(), known)
    }

    /// How many containers it holds on to, and about how many bytes they take.
    pub(crate) fn size(&self) -> (usize, usize) {
        let removed = self.removed.as_ref().map_or(0, HashSet::len);
        (self.entries.len() + removed, self.weight)
    }

    /// Whether it says what is there and what is not.
    pub(crate) fn is_live(&self) -> bool {
        self.live
    }

    /// The daemon's time of the last event.
    pub(crate) fn last_event(&self) -> Option<EventTime> {
        self.last_event
    }

    /// Everything that runs, as far as it is known for sure.
    pub(crate) fn running(&self) -> impl Iterator<Item = &Arc<Container>> {
        let fresh = |entry: &&Entry| self.live && entry.fresh && entry.runs;
        let entries = self.entries.values().filter(fresh);
        entries.filter_map(|entry| entry.details.as_ref())
    }

    /// Whether all that runs is known.
    pub(crate) fn is_complete(&self) -> bool {
        self.live && self.words.unseen == 0
    }

    /// The same id, as it is stored here if it is.
    pub(crate) fn id(&self, id: ContainerId) -> ContainerId {
        let stored = self.entries.get_key_value(&id);
        stored.map_or(id, |(stored, _)| stored.clone())
    }

    /// Whether this one runs and has to be inspected.
    pub(crate) fn is_unseen(&self, id: &ContainerId) -> bool {
        self.entries.get(id).is_some_and(Entry::is_unseen)
    }

    /// Whether its parts agree with each other: the words are those of the entries.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn check(&self) {
        self.words.check(&self.entries);
    }

    fn tick(&mut self) -> Mark {
        self.now.0 += 1;
        self.now
    }

    /// Changes an entry, which is made if need be.
    fn change(&mut self, id: &ContainerId, change: impl FnOnce(&mut Entry)) {
        let entry = self.entries.entry(id.clone()).or_insert_with(|| {
            let entry = Entry::default();
            self.words.add(id, &entry);
            entry
        });
        self.words.remove(id, entry);
        self.weight -= entry.weight();
        change(entry);
        self.weight += entry.weight();
        self.words.add(id, entry);
    }

    fn remove(&mut self, id: &ContainerId) {
        if let Some(entry) = self.entries.remove(id) {
            self.words.remove(id, &entry);
            self.weight -= entry.weight();
            self.tell_down(entry);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
