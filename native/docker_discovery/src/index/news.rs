//! What subscribers are told: which containers came up, changed and went.

use std::sync::Arc;

use super::{Entry, Index};
use crate::docker::container::Container;
use crate::node_name::ContainerId;

/// One thing to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// All that runs.
    Snapshot(Vec<Arc<Container>>),
    /// It runs.
    Up(Arc<Container>),
    /// It does not run any more; this was the last known of it.
    Down(Arc<Container>),
    /// It runs on, and can be reached in another way or goes by another name.
    Changed(Arc<Container>),
}

impl Index {
    /// What there is to tell since the last time.
    pub(crate) fn take_news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    /// Says that all that runs is of interest from now on.
    pub(crate) fn be_eager(&mut self) {
        self.eager = true;
    }

    /// All that runs, for a new subscriber, who is told of what follows.
    pub(crate) fn snapshot(&mut self) -> Vec<Arc<Container>> {
        let running = self.entries.values_mut();
        let running = running.filter(|entry| entry.fresh && entry.runs);
        let told = running.filter_map(|entry| {
            entry.told = true;
            entry.details.clone()
        });
        told.collect()
    }

    /// Forgets who was told what, for there is nobody to tell.
    pub(crate) fn tell_nobody(&mut self) {
        self.eager = false;
        self.news.clear();
        self.entries
            .values_mut()
            .for_each(|entry| entry.told = false);
    }

    /// After an inspect. `before`: whether it was told of, and the inspect before.
    pub(super) fn tell(
        &mut self,
        container: &Arc<Container>,
        runs: bool,
        before: (bool, Option<Arc<Container>>),
    ) {
        if !self.eager {
            return;
        }
        let (told, details) = before;
        let news = match (told, runs, details) {
            (false, true, _) => News::Up(Arc::clone(container)),
            (true, true, Some(old)) if old != *container => News::Changed(Arc::clone(container)),
            (true, false, _) => News::Down(Arc::clone(container)),
            _ => return,
        };
        self.news.push(news);
        if let Some(entry) = self.entries.get_mut(&container.id) {
            entry.told = runs;
        }
    }

    /// A container that was told of has stopped.
    pub(super) fn tell_old(&mut self, id: &ContainerId) {
        let entry = self.entries.get(id);
        if let Some(details) = entry.and_then(|entry| entry.details.clone()) {
            self.news.push(News::Down(details));
        }
    }

    /// An entry is gone.
    pub(super) fn tell_down(&mut self, entry: Entry) {
        if let (true, Some(details)) = (entry.told, entry.details) {
            self.news.push(News::Down(details));
        }
    }
}
