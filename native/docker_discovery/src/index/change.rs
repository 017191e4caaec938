//! What changes an index: the stream of events, the list, and inspects.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Entry, Index, MAX_ASKED, Mark, Words};
use crate::docker::container::Container;
use crate::docker::events::{Event, What};
use crate::docker::find::Wanted;
use crate::docker::list::Listed;
use crate::node_name::ContainerId;

impl Index {
    /// The stream of events has begun: what is asked from now on stays true
    /// until an event says otherwise.
    pub(crate) fn stream_begins(&mut self) {
        self.stream_ends();
        self.stream = Some(self.tick());
    }

    /// It has ended: nothing is sure any more.
    pub(crate) fn stream_ends(&mut self) {
        self.tick();
        self.stream = None;
        self.live = false;
        self.removed = None;
        self.absent.forget(self.now);
        for entry in self.entries.values_mut() {
            self.words.unseen += usize::from(entry.fresh && entry.runs);
            entry.fresh = false;
        }
    }

    /// Forgets all. For a daemon that is followed no longer.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.weight = 0;
        self.words = Words::default();
        self.asked.clear();
        self.absent.forget(self.now);
    }

    /// Whether the container has to be inspected now: that is for those of
    /// which somebody has wanted to know.
    pub(crate) fn apply(&mut self, event: &Event) -> bool {
        let now = self.tick();
        self.last_event = self.last_event.max(Some(event.time));
        let id = &event.id;
        if event.what == What::Removed {
            self.remove(id);
            if let Some(removed) = &mut self.removed {
                removed.insert(id.clone());
            }
            return false;
        }
        if !matches!(event.what, What::Stopped | What::Removed | What::Health) {
            self.absent.forget(now);
        }
        let (mut look, mut down) = (event.what == What::Other, false);
        let eager = self.eager;
        self.change(id, |entry| {
            entry.touched = now;
            entry.fresh = false;
            if let Some(name) = &event.name {
                entry.name = name.as_str().into();
            }
            match event.what {
                What::Created | What::Stopped => {
                    entry.runs = false;
                    down = std::mem::take(&mut entry.told);
                }
                // Before a start come its networks: an inspect would wait for the start.
                What::Network | What::Health => look = entry.runs,
                _ => entry.runs = true,
            }
            look &= eager || entry.details.is_some();
        });
        if down {
            self.tell_old(id);
        }
        look
    }

    /// What is known of it has led nowhere: it is to be inspected again.
    pub(crate) fn doubt(&mut self, wanted: &Wanted<'_>) {
        let Some(id) = self.get(wanted).map(|known| known.id.clone()) else {
            return;
        };
        let now = self.tick();
        self.change(&id, |entry| {
            entry.touched = now;
            entry.fresh = false;
        });
    }

    /// A list was asked for; hand the mark to [`Index::apply_list`].
    pub(crate) fn list_begins(&mut self) -> Mark {
        self.removed = Some(HashSet::new());
        self.tick()
    }

    /// Takes over a part of a list that was asked for at `asked_at`. What an
    /// event has touched since then is left to its inspect: the list may be older.
    pub(crate) fn apply_list(&mut self, asked_at: Mark, part: &[Listed]) {
        let now = self.tick();
        for listed in part {
            let removed = self.removed.as_ref();
            let is_removed = removed.is_some_and(|removed| removed.contains(&listed.id));
            if !is_removed && !self.is_as_listed(asked_at, listed) {
                if !self.entries.contains_key(&listed.id) {
                    self.absent.forget(now);
                }
                self.change(&listed.id, |entry| entry.take_over(asked_at, listed));
            }
        }
    }

    /// Whether the list says nothing new of this container, which is the rule.
    fn is_as_listed(&mut self, asked_at: Mark, listed: &Listed) -> bool {
        let Some(entry) = self.entries.get_mut(&listed.id) else {
            return false;
        };
        entry.listed = asked_at;
        entry.touched <= asked_at
            && entry.runs == listed.is_running()
            && &*entry.name == listed.name()
            && (!entry.fresh || entry.agrees_with(listed))
    }

    /// All parts of the list were taken over.
    pub(crate) fn list_ends(&mut self, asked_at: Mark) {
        self.tick();
        self.removed = None;
        let entries = self.entries.iter();
        let gone = entries.filter(|(_, one)| one.touched <= asked_at && one.listed < asked_at);
        let gone: Vec<_> = gone.map(|(id, _)| id.clone()).collect();
        gone.iter().for_each(|id| self.remove(id));
        self.live = self.stream.is_some();
    }

    /// What has to be inspected: of what runs and is not known that of which
    /// somebody has wanted to know, or all of it.
    pub(crate) fn wanted(&mut self) -> Vec<ContainerId> {
        let asked = std::mem::take(&mut self.asked);
        let wanted = self.entries.iter().filter(|(id, entry)| {
            let of_interest = self.eager || entry.details.is_some() || asked.contains(*id);
            entry.is_unseen() && of_interest
        });
        wanted.map(|(id, _)| id.clone()).collect()
    }

    /// Takes over an inspect that was asked for at `asked_at`, unless an event
    /// has touched the container since.
    pub(crate) fn learn(&mut self, asked_at: Mark, container: &Arc<Container>) {
        let id = &container.id;
        match self.entries.get(id) {
            Some(entry) if entry.touched > asked_at => return,
            Some(_) => {}
            // Its events are still to come, or the list is.
            None => {
                if !self.live && self.asked.len() < MAX_ASKED {
                    self.asked.insert(id.clone());
                }
                return;
            }
        }
        let sure = self.stream.is_some_and(|began| began <= asked_at);
        let runs = container.not_running().is_none();
        let mut before = (false, None);
        self.tick();
        self.change(id, |entry| {
            before = (entry.told, entry.details.replace(Arc::clone(container)));
            entry.name = Arc::clone(&container.name);
            entry.fresh = sure;
            entry.runs = runs;
        });
        if sure {
            self.tell(container, runs, before);
        }
    }
}

impl Entry {
    fn agrees_with(&self, listed: &Listed) -> bool {
        let details = self.details.as_ref();
        details.is_some_and(|one| listed.agrees_with(one))
    }

    fn take_over(&mut self, asked_at: Mark, listed: &Listed) {
        self.listed = asked_at;
        if self.touched > asked_at {
            self.runs |= !self.fresh && listed.is_running();
            if !self.name.is_empty() {
                return;
            }
        } else {
            self.fresh &= self.agrees_with(listed);
            // What is fresh has told by itself whether it runs.
            self.runs = listed.is_running();
        }
        self.name = listed.name().into();
    }
}
