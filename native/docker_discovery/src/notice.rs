//! What the user is to be told of daemons, at the moment that it happens and without being asked.

use std::sync::{Arc, Mutex};

use crate::error::Error;
use crate::sync::lock;

/// News of a daemon that follows no question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// It, or a proxy before it, does not let its events or its list be had.
    NotWatched(Error),
    /// It had answered, and cannot be reached now.
    Down(Error),
    /// It can be reached again.
    Up,
}

type Tell = Box<dyn Fn(&str, &Notice) + Send + Sync>;

/// Where notices go to; nowhere unless somebody wants them.
#[derive(Clone, Default)]
pub(crate) struct Notices(Arc<Mutex<Option<Tell>>>);

impl Notices {
    /// Of a daemon, by the text of its endpoint.
    pub(crate) fn tell(&self, daemon: &str, notice: &Notice) {
        if let Some(tell) = &*lock(&self.0) {
            tell(daemon, notice);
        }
    }

    pub(crate) fn listen(&self, tell: Tell) {
        *lock(&self.0) = Some(tell);
    }
}

impl std::fmt::Debug for Notices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Notices")
    }
}
