//! From what a container is called to the one that is meant, by the rules of
//! `docker/find.rs` and `docker/search.rs`.

use std::ops::Bound;
use std::sync::Arc;

use super::{Entry, Index};
use crate::docker::container::Container;
use crate::docker::find::Wanted;
use crate::node_name::ContainerId;

impl Index {
    /// The one container that is wanted, if it runs and nothing has happened
    /// to it since it was inspected; else Docker has to be asked.
    pub(crate) fn get(&self, wanted: &Wanted<'_>) -> Option<&Arc<Container>> {
        if !self.live {
            return None;
        }
        let entry = self.which(wanted, self.words.unseen == 0)?;
        let sure = entry.fresh && entry.runs;
        entry.details.as_ref().filter(|_| sure)
    }

    /// The last that was known of it, however long ago, unless it stopped.
    pub(crate) fn last_known(&self, wanted: &Wanted<'_>) -> Option<&Arc<Container>> {
        let entry = self.which(wanted, true)?;
        entry.details.as_ref().filter(|_| entry.runs)
    }

    /// `all_seen`: whether all services, hostnames and aliases are known.
    fn which(&self, wanted: &Wanted<'_>, all_seen: bool) -> Option<&Entry> {
        let text = match wanted {
            Wanted::Id(id) => return self.only(id),
            Wanted::Ref(reference) => reference.as_str(),
        };
        if let Some(id) = self.words.named(text) {
            return self.entries.get(id);
        }
        match ContainerId::parse(text) {
            Some(prefix) if self.with_prefix(&prefix).0.is_some() => self.only(&prefix),
            _ if all_seen => self.called(text),
            _ => None,
        }
    }

    fn only(&self, prefix: &ContainerId) -> Option<&Entry> {
        let (first, more) = self.with_prefix(prefix);
        first.filter(|_| !more)
    }

    /// The first with this prefix, and whether there are more.
    fn with_prefix(&self, prefix: &ContainerId) -> (Option<&Entry>, bool) {
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let mut found = self.entries.range(from);
        let mut next = || found.next().filter(|(id, _)| id.starts_with(prefix));
        (next().map(|(_, entry)| entry), next().is_some())
    }

    /// A service counts for more than a hostname or an alias. Where several
    /// are called so, the search decides, or says that it cannot.
    fn called(&self, text: &str) -> Option<&Entry> {
        let is_called = |entry: &&Entry| {
            let mut words = entry.details.iter().flat_map(|one| one.also_called());
            words.any(|word| word == text)
        };
        let ids = self.words.called(text);
        let running = ids
            .filter_map(|id| self.entries.get(id))
            .filter(|one| one.runs && is_called(one));
        let running: Vec<_> = running.collect();
        let of_service = |entry: &&Entry| {
            let details = entry.details.as_ref();
            details.is_some_and(|one| one.service() == Some(text))
        };
        let of_service: Vec<_> = running.iter().copied().filter(of_service).collect();
        match (of_service.as_slice(), running.as_slice()) {
            ([one], _) | ([], [one]) => Some(one),
            _ => None,
        }
    }
}
