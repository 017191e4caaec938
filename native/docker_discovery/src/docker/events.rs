//! The stream of `GET /events`: one JSON object after the other, each a line. What happened is
//! read; what a container looks like after it is asked again.

use std::time::UNIX_EPOCH;

use bytes::{Buf, Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::Deserialize;

use super::decode::{self, or_default};
use crate::error::Error;
use crate::node_name::ContainerId;

/// An event holds all labels of its container; 20.10 bounds neither. A longer
/// one is not read, and who follows has to look at everything anew.
pub(crate) const MAX_LINE: usize = 1 << 20;

/// `{"type":["container","network"]}`
const PATH: &str = "/events?filters=%7B%22type%22%3A%5B%22container%22%2C%22network%22%5D%7D";

impl EventTime {
    /// From the header of an HTTP answer, which has whole seconds: one before it.
    pub(crate) fn parse_date(text: &str) -> Option<Self> {
        let date = httpdate::parse_http_date(text).ok()?;
        let seconds = date.duration_since(UNIX_EPOCH).ok()?.as_secs();
        Some(Self(seconds.saturating_sub(1).checked_mul(1_000_000_000)?))
    }

    /// The path to events from this moment on.
    pub(crate) fn path(since: Option<Self>) -> String {
        match since {
            Some(Self(time)) => {
                let (seconds, rest) = (time / 1_000_000_000, time % 1_000_000_000);
                format!("{PATH}&since={seconds}.{rest:09}")
            }
            None => PATH.to_owned(),
        }
    }
}

/// What happened, when, and to which container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) time: EventTime,
    pub(crate) what: What,
    pub(crate) id: ContainerId,
    /// The container's name, as far as the event tells it.
    pub(crate) name: Option<String>,
}

/// The daemon's own clock: nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EventTime(pub(crate) u64);

/// As far as it matters for where a container can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// It was made, and does not run yet.
    Created,
    /// It does not run any more, or is frozen.
    Stopped,
    /// It is gone.
    Removed,
    /// Its place in a network changed.
    Network,
    /// Its own health check says something else.
    Health,
    /// Anything else: a start, a new name, an action of a newer Docker.
    Other,
}

/// One event, as far as it is used.
#[derive(Deserialize)]
struct Raw {
    #[serde(default, rename = "Type", deserialize_with = "or_default")]
    kind: String,
    #[serde(default, rename = "Action", deserialize_with = "or_default")]
    action: String,
    #[serde(default, rename = "Actor", deserialize_with = "or_default")]
    actor: Actor,
    #[serde(default, rename = "time", deserialize_with = "or_default")]
    seconds: u64,
    #[serde(default, rename = "timeNano", deserialize_with = "or_default")]
    nanoseconds: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Actor {
    #[serde(rename = "ID", deserialize_with = "or_default")]
    id: String,
    #[serde(rename = "Attributes", deserialize_with = "or_default")]
    attributes: Attributes,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Attributes {
    #[serde(deserialize_with = "or_default")]
    name: Option<String>,
    #[serde(deserialize_with = "or_default")]
    container: String,
}

impl Event {
    /// Reads a line. `None` is an event that changes nothing for us.
    pub(crate) fn decode(line: &[u8]) -> Result<Option<Self>, Error> {
        let raw: Raw = decode::json(line)?;
        let time = EventTime(
            raw.nanoseconds
                .max(raw.seconds.saturating_mul(1_000_000_000)),
        );
        let Actor { id, attributes } = raw.actor;
        let (what, id, name) = match raw.kind.as_str() {
            "container" => (What::of(&raw.action), id, attributes.name),
            "network" if matches!(raw.action.as_str(), "connect" | "disconnect") => {
                (Some(What::Network), attributes.container, None)
            }
            _ => (None, id, None),
        };
        // Podman tells of pods and of containers without an id in other words.
        let event = what.zip(ContainerId::parse(&id)).map(|(what, id)| Self {
            time,
            what,
            id,
            name,
        });
        Ok(event)
    }
}

impl What {
    /// Docker's words for what happens to a container, and Podman's where they
    /// differ. A word that is not known here is taken to change it.
    fn of(action: &str) -> Option<Self> {
        // "exec_create: sh -c ...", "health_status: healthy"
        let word = action.split(':').next().unwrap_or(action);
        match word {
            "create" => Some(Self::Created),
            "die" | "died" | "pause" => Some(Self::Stopped),
            "destroy" | "remove" => Some(Self::Removed),
            "health_status" => Some(Self::Health),
            // Around a die that is told of its own, or without effect on where it is.
            "kill" | "stop" | "oom" | "attach" | "detach" | "commit" | "copy" | "export"
            | "resize" | "top" | "archive-path" | "extract-to-dir" | "exec" | "exec_create"
            | "exec_start" | "exec_die" | "exec_died" | "exec_detach" | "init" | "sync"
            | "mount" | "unmount" | "cleanup" | "prune" => None,
            _ => Some(Self::Other),
        }
    }
}

/// The events of a daemon as they come.
pub(crate) struct Events {
    body: Incoming,
    lines: Lines,
}

impl Events {
    pub(super) fn new(body: Incoming) -> Self {
        Self {
            body,
            lines: Lines::default(),
        }
    }

    /// The next event. `None` is the end of the stream; an error is a hole in
    /// it, after which it goes on. To drop the future loses nothing.
    pub(crate) async fn next(&mut self) -> Result<Option<Event>, Error> {
        loop {
            while let Some(line) = self.lines.next()? {
                if let Some(event) = Event::decode(&line)? {
                    return Ok(Some(event));
                }
            }
            match self.body.frame().await {
                Some(Ok(frame)) => self.lines.push(&frame.into_data().unwrap_or_default()),
                // A daemon that stops breaks off; what it said until then was whole.
                Some(Err(_)) | None => return Ok(None),
            }
        }
    }
}

/// Bytes, cut into lines.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    rest: BytesMut,
    /// How much of it has no line end.
    searched: usize,
    /// Whether the rest of a line that is too long is still to come.
    skipping: bool,
}

impl Lines {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
    }

    /// The next whole line. A line that is too long is one error.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let new = &self.rest[self.searched..];
            let Some(end) = new.iter().position(|byte| *byte == b'\n') else {
                self.searched = self.rest.len();
                return self.unfinished();
            };
            let line = self.rest.split_to(self.searched + end).freeze();
            self.rest.advance(1);
            self.searched = 0;
            let skipped = std::mem::take(&mut self.skipping);
            // Podman's keep-alive is an empty line.
            if !skipped && !line.trim_ascii().is_empty() {
                return Ok(Some(line));
            }
        }
    }

    /// How many bytes wait for the end of their line.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn held(&self) -> usize {
        self.rest.len()
    }

    fn unfinished(&mut self) -> Result<Option<Bytes>, Error> {
        let too_long = self.rest.len() > MAX_LINE;
        if too_long || self.skipping {
            self.rest.clear();
            self.searched = 0;
        }
        if too_long && !self.skipping {
            self.skipping = true;
            return Err(Error::TooLarge(MAX_LINE as u64));
        }
        Ok(None)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
