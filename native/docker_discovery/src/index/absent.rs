//! What was asked for in vain. It is remembered for a while, and as long as nothing comes up that it
//! could be: to look for a hostname or an alias costs an inspect of each container.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::{Index, Mark};
use crate::docker::find::Wanted;

/// How long it is remembered at most.
const MAX_AGE: Duration = Duration::from_secs(10);
/// How many references are; names can be made up at will.
const MAX: usize = 1024;

/// References that no container goes by.
#[derive(Debug, Default)]
pub(super) struct Absent {
    since: HashMap<Box<str>, Instant>,
    /// When something last came up, or changed its name or networks.
    news: Mark,
}

impl Absent {
    /// Something comes up, or goes by another name.
    pub(super) fn forget(&mut self, now: Mark) {
        self.since.clear();
        self.news = now;
    }
}

impl Index {
    /// When something last came up, or changed its name or networks: an older answer may lack it.
    pub(crate) fn last_news(&self) -> Mark {
        self.absent.news
    }

    /// No container is known by that: Docker has said so to a question of that moment.
    pub(crate) fn learn_absent(&mut self, asked_at: Mark, wanted: &Wanted<'_>, now: Instant) {
        let sure = self.live && self.stream.is_some_and(|began| began <= asked_at);
        if !sure || self.absent.news > asked_at {
            return;
        }
        let since = &mut self.absent.since;
        if since.len() >= MAX {
            since.retain(|_, since| now.duration_since(*since) < MAX_AGE);
        }
        if since.len() < MAX {
            since.insert(wanted.as_str().into(), now);
        }
    }

    /// Whether it is still known that there is no such container.
    pub(crate) fn is_absent(&self, wanted: &Wanted<'_>, now: Instant) -> bool {
        let since = self.absent.since.get(wanted.as_str());
        self.live && since.is_some_and(|since| now.duration_since(*since) < MAX_AGE)
    }
}
