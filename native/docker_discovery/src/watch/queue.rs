//! Containers that wait to be inspected, each once, and those that are.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::node_name::ContainerId;

/// How often a container is inspected because of its events, in the long run.
const PACE: Duration = Duration::from_millis(200);
/// That many inspects may come at once: a restart is two or three, and nobody
/// restarts a container for long at a time.
const AT_ONCE: u32 = 20;
/// Paces that are looked through for old ones, at least.
const FEW: usize = 64;

/// The queue.
#[derive(Default)]
pub(super) struct Queue {
    order: VecDeque<ContainerId>,
    later: BTreeSet<(Instant, ContainerId)>,
    /// All of them: in order, later, and taken.
    held: HashSet<ContainerId>,
    /// When each would be inspected next if it kept to its pace all the time.
    paces: HashMap<ContainerId, Instant>,
    many: usize,
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
        let pace = self.paces.entry(id.clone()).or_insert(now);
        let due = pace.checked_sub(PACE * AT_ONCE).unwrap_or(now);
        *pace = now.max(*pace) + PACE;
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

    /// Gives back what a long queue took, and forgets paces that are over.
    fn rest(&mut self, now: Instant) {
        self.order = VecDeque::new();
        self.held = HashSet::new();
        if self.paces.len() >= self.many.max(FEW) {
            self.paces.retain(|_, next| *next > now);
            self.paces.shrink_to_fit();
            self.many = 2 * self.paces.len();
        }
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
        assert!((300..330).contains(&looks), "{looks}");
        queue.happened(id(), now);
        now += PACE;
        assert_eq!(queue.take(now), Some(id()));
        queue.done(id(), false, now);
        // Forgiven when it has been quiet.
        now += PACE * AT_ONCE;
        let looks = looks_in(&mut queue, &mut now, 50);
        assert!(looks >= AT_ONCE as usize, "{looks}");
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
    fn paces_that_are_over_are_forgotten() {
        let (mut queue, mut now) = (Queue::default(), Instant::now());
        for number in 0..100_000_u64 {
            let id = ContainerId::parse(&format!("{number:012x}")).unwrap();
            queue.happened(id.clone(), now);
            assert_eq!(queue.take(now), Some(id.clone()));
            queue.done(id, false, now);
            now += Duration::from_millis(10);
        }
        assert!(queue.paces.len() < 1000, "{}", queue.paces.len());
    }
}
