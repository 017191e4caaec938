//! What is known of a daemon's containers, shared by those who learn it (the
//! watch, and every inspect) and those who ask.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};
use std::time::Instant;

use crate::docker::container::Container;
use crate::docker::events::{Event, EventTime};
use crate::docker::find::Wanted;
use crate::docker::list::Listed;
use crate::index::{Index, Mark, News};
use crate::node_name::ContainerId;
use crate::sync::lock;

/// Is told each piece of news; says whether it wants more.
pub(crate) type Tell = Box<dyn Fn(&News) -> bool + Send + Sync>;

/// Somebody who is told.
pub(crate) struct Subscriber {
    tell: Tell,
    /// Whether it has had its snapshot.
    begun: AtomicBool,
    wanted: AtomicBool,
}

impl Subscriber {
    /// It wants no more.
    pub(crate) fn end(&self) {
        self.wanted.store(false, Relaxed);
    }

    fn is_wanted(&self) -> bool {
        self.wanted.load(Relaxed)
    }

    fn tell(&self, news: &News) {
        if self.is_wanted() && !(self.tell)(news) {
            self.end();
        }
    }
}

/// The index of a daemon, behind its lock. What is done under it is short, and
/// never waits.
#[derive(Default)]
pub(crate) struct Known {
    index: RwLock<Index>,
    /// Never locked while one is told, nor while the index is: who subscribes
    /// must not wait for that.
    subscribers: Mutex<Vec<Arc<Subscriber>>>,
    /// Whether anybody watches, and so anything is worth remembering.
    watched: AtomicBool,
}

impl Known {
    /// The container, if it runs and nothing has happened to it since its
    /// inspect.
    pub(crate) fn get(&self, wanted: &Wanted<'_>) -> Option<Arc<Container>> {
        self.read().get(wanted).cloned()
    }

    /// The same without waiting for a list that is being taken over.
    pub(crate) fn try_get(&self, wanted: &Wanted<'_>) -> Option<Arc<Container>> {
        match self.index.try_read() {
            Ok(index) => index.get(wanted).cloned(),
            Err(TryLockError::Poisoned(index)) => index.into_inner().get(wanted).cloned(),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// The last that was known of it.
    pub(crate) fn last_known(&self, wanted: &Wanted<'_>) -> Option<Arc<Container>> {
        self.read().last_known(wanted).cloned()
    }

    /// Now, for what is asked now.
    pub(crate) fn mark(&self) -> Mark {
        self.read().mark()
    }

    /// When something last came up; an answer to a question from before may lack it.
    pub(crate) fn last_news(&self) -> Mark {
        self.read().last_news()
    }

    /// Begins to remember.
    pub(crate) fn watched(&self) {
        self.watched.store(true, Relaxed);
    }

    /// An inspect that was asked for then.
    pub(crate) fn learn(&self, asked_at: Mark, mut container: Container) -> Arc<Container> {
        if !self.watched.load(Relaxed) {
            return Arc::new(container);
        }
        self.update(|index| {
            // One copy of each id is enough.
            container.id = index.id(container.id);
            let container = Arc::new(container);
            index.learn(asked_at, &container);
            container
        })
    }

    /// What is known of it has led nowhere.
    pub(crate) fn doubt(&self, wanted: &Wanted<'_>) {
        self.write().doubt(wanted);
    }

    /// What was asked for then is not there.
    pub(crate) fn learn_absent(&self, asked_at: Mark, wanted: &Wanted<'_>) {
        if self.watched.load(Relaxed) {
            self.write().learn_absent(asked_at, wanted, Instant::now());
        }
    }

    /// Whether it is known that there is no such container.
    pub(crate) fn is_absent(&self, wanted: &Wanted<'_>) -> bool {
        self.read().is_absent(wanted, Instant::now())
    }

    pub(crate) fn stream_begins(&self) {
        self.update(Index::stream_begins);
    }

    pub(crate) fn stream_ends(&self) {
        self.update(Index::stream_ends);
    }

    /// Whether its container has to be inspected.
    pub(crate) fn apply(&self, event: &Event) -> bool {
        self.update(|index| index.apply(event))
    }

    pub(crate) fn list_begins(&self) -> Mark {
        self.update(Index::list_begins)
    }

    /// A part of a list.
    pub(crate) fn apply_list(&self, asked_at: Mark, part: &[Listed]) {
        self.update(|index| index.apply_list(asked_at, part));
    }

    pub(crate) fn list_ends(&self, asked_at: Mark) {
        self.update(|index| index.list_ends(asked_at));
    }

    /// What has to be inspected.
    pub(crate) fn wanted(&self) -> Vec<ContainerId> {
        self.write().wanted()
    }

    pub(crate) fn last_event(&self) -> Option<EventTime> {
        self.read().last_event()
    }

    /// Whether it says what there is, how many containers that are, and how
    /// many of them are known.
    pub(crate) fn count(&self) -> (bool, usize, usize) {
        let index = self.read();
        let (all, known) = index.count();
        (index.is_live(), all, known)
    }

    /// How many containers it holds on to, and about how many bytes they take.
    pub(crate) fn size(&self) -> (usize, usize) {
        self.read().size()
    }

    /// Whether this one is still to be inspected.
    pub(crate) fn is_unseen(&self, id: &ContainerId) -> bool {
        self.read().is_unseen(id)
    }

    /// Forgets all containers.
    pub(crate) fn clear(&self) {
        self.update(Index::clear);
    }

    /// Everything that runs, if all of it is known.
    pub(crate) fn all_running(&self) -> Option<Vec<Arc<Container>>> {
        let index = self.read();
        let running = || index.running().cloned().collect();
        index.is_complete().then(running)
    }

    /// Whether its parts agree with each other.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn check(&self) {
        self.read().check();
    }

    fn update<T>(&self, change: impl FnOnce(&mut Index) -> T) -> T {
        let mut index = self.write();
        let result = change(&mut index);
        let news = index.take_news();
        drop(index);
        if !news.is_empty() {
            self.tell(&news);
        }
        result
    }

    /// Whoever subscribes is told all that runs, once that is known, and then
    /// what changes.
    pub(crate) fn subscribe(&self, tell: Tell) -> Arc<Subscriber> {
        let subscriber = Arc::new(Subscriber {
            tell,
            begun: AtomicBool::new(false),
            wanted: AtomicBool::new(true),
        });
        let mut subscribers = lock(&self.subscribers);
        subscribers.push(Arc::clone(&subscriber));
        self.write().be_eager();
        subscriber
    }

    pub(crate) fn has_subscribers(&self) -> bool {
        lock(&self.subscribers).iter().any(|one| one.is_wanted())
    }

    /// Forgets subscribers that want no more; without any, less is of interest.
    pub(crate) fn let_go(&self) {
        let mut subscribers = lock(&self.subscribers);
        if !subscribers.is_empty() {
            subscribers.retain(|one| one.is_wanted());
            if subscribers.is_empty() {
                self.write().tell_nobody();
            }
        }
    }

    /// All is known that can be: new subscribers get their snapshot.
    pub(crate) fn settled(&self) {
        let new = self.subscribers(false);
        if new.is_empty() {
            return;
        }
        let news = News::Snapshot(self.write().snapshot());
        for one in new {
            one.begun.store(true, Relaxed);
            one.tell(&news);
        }
    }

    fn tell(&self, news: &[News]) {
        for one in self.subscribers(true) {
            news.iter().for_each(|news| one.tell(news));
        }
        self.let_go();
    }

    /// Those who have had their snapshot, or those who have not.
    fn subscribers(&self, begun: bool) -> Vec<Arc<Subscriber>> {
        let subscribers = lock(&self.subscribers);
        let some = subscribers
            .iter()
            .filter(|one| one.begun.load(Relaxed) == begun);
        some.cloned().collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }
}
