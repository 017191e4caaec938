//! Containers that wait to be inspected, each once, and those that are.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::node_name::ContainerId;

/// What happens to a container comes in a few events at once; after so many
/// inspects in a row it has to wait, twice as long each time.
const AT_ONCE: u32 = 4;
const FIRST_WAIT: Duration = Duration::from_millis(20);
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// When nothing has happened to it for so long, the row ends.
const QUIET: Duration = Duration::from_secs(2);
/// Rows that are looked through for old ones, at least.
const FEW: usize = 64;

/// The queue.
#[derive(Default)]
pub(super) struct Queue {
    order: VecDeque<ContainerId>,
    later: BTreeSet<(Instant, ContainerId)>,
    /// All of them: in order, later, and taken.
    held: HashSet<ContainerId>,
    rows: HashMap<ContainerId, Row>,
    many: usize,
}

/// Inspects of one container, in a row.
struct Row {
    looks: u32,
    last: Instant,
}

impl Queue {
    /// How many wait or are being inspected.
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    /// It has to be inspected.
    pub(super) fn add(&mut self, id: ContainerId) {
        if self.held.insert(id.clone()) {
            self.order.push_back(id);
        }
    }

    /// The same because of an event. Events that come faster than they can be
    /// looked after are one: until then whoever asks gets an inspect of his own.
    pub(super) fn happened(&mut self, id: ContainerId, now: Instant) {
        if !self.held.insert(id.clone()) {
            return;
        }
        let row = self.rows.entry(id.clone());
        let row = row.or_insert(Row {
            looks: 0,
            last: now,
        });
        if row.last + QUIET < now {
            row.looks = 0;
        }
        row.looks = row.looks.saturating_add(1);
        let due = row.last + wait(row.looks);
        row.last = due.max(now);
        if due <= now {
            self.order.push_back(id);
        } else {
            self.later.insert((due, id));
        }
    }

    /// The next one that need not wait any more.
    pub(super) fn take(&mut self, now: Instant) -> Option<ContainerId> {
        while self.due().is_some_and(|due| due <= now) {
            self.order.extend(self.later.pop_first().map(|(_, id)| id));
        }
        self.order.pop_front()
    }

    /// When the next one of those that wait may be taken.
    pub(super) fn due(&self) -> Option<Instant> {
        self.later.first().map(|(due, _)| *due)
    }

    /// It was inspected; `again` if an event has overtaken that.
    pub(super) fn done(&mut self, id: ContainerId, again: bool, now: Instant) {
        self.held.remove(&id);
        if again {
            self.happened(id, now);
        }
        if self.held.is_empty() {
            self.rest(now);
        }
    }

    /// Gives back what a long queue took, and forgets rows that have ended.
    fn rest(&mut self, now: Instant) {
        self.order = VecDeque::new();
        self.held = HashSet::new();
        if self.rows.len() >= self.many.max(FEW) {
            self.rows.retain(|_, row| row.last + QUIET >= now);
            self.rows.shrink_to_fit();
            self.many = 2 * self.rows.len();
        }
    }
}

/// Before the next inspect after so many in a row.
fn wait(looks: u32) -> Duration {
    match looks.checked_sub(AT_ONCE + 1) {
        None => Duration::ZERO,
        Some(more) => LONGEST_WAIT.min(FIRST_WAIT * 2_u32.saturating_pow(more.min(16))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn id() -> ContainerId {
        ContainerId::parse("aaaaaaaaaaaa").unwrap()
    }

    /// It happens each millisecond; how often it is inspected.
    fn looks_in(queue: &mut Queue, now: &mut Instant, milliseconds: u64) -> usize {
        let mut looks = 0;
        for _ in 0..milliseconds {
            queue.happened(id(), *now);
            if let Some(id) = queue.take(*now) {
                looks += 1;
                queue.done(id, false, *now);
            }
            *now += Duration::from_millis(1);
        }
        looks
    }

    #[test]
    fn a_storm_of_events_is_a_few_inspects_and_the_last_is_never_left_out() {
        let (mut queue, mut now) = (Queue::default(), Instant::now());
        let looks = looks_in(&mut queue, &mut now, 60_000);
        assert!((60..75).contains(&looks), "{looks}");
        queue.happened(id(), now);
        now += LONGEST_WAIT;
        assert_eq!(queue.take(now), Some(id()));
        queue.done(id(), false, now);
        // Forgiven when it has been quiet.
        now += QUIET * 2;
        assert_eq!(looks_in(&mut queue, &mut now, 10), AT_ONCE as usize);
        assert!(queue.due().is_some());
    }

    #[test]
    fn what_is_held_is_held_once_and_what_was_overtaken_comes_again() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.add(id());
        queue.add(id());
        queue.happened(id(), now);
        assert_eq!(queue.take(now), Some(id()));
        queue.happened(id(), now);
        assert_eq!(queue.take(now), None);
        queue.done(id(), true, now);
        assert_eq!(queue.take(now), Some(id()));
        queue.done(id(), false, now);
        assert_eq!(queue.take(now), None);
    }

    #[test]
    fn rows_that_have_ended_are_forgotten() {
        let (mut queue, mut now) = (Queue::default(), Instant::now());
        for number in 0..100_000_u64 {
            let id = ContainerId::parse(&format!("{number:012x}")).unwrap();
            queue.happened(id.clone(), now);
            assert_eq!(queue.take(now), Some(id.clone()));
            queue.done(id, false, now);
            now += Duration::from_millis(10);
        }
        assert!(queue.rows.len() < 1000, "{}", queue.rows.len());
    }
}
