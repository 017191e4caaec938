//! Against a naive model: a world of containers whose events arrive late, and
//! inspects and lists that were answered at any moment in between.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::docker::events::{Event, What};
use crate::docker::find::Wanted;
use crate::docker::list::Listed;
use crate::node_name::ContainerRef;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

fn id(number: usize) -> ContainerId {
    ContainerId::parse(&format!("{:0>64}", format!("{number}{number}"))).unwrap()
}

fn short(number: usize) -> ContainerId {
    ContainerId::parse(&id(number).as_str()[..63]).unwrap()
}

/// What is true of a container.
#[derive(Clone, Debug, PartialEq)]
struct Truth {
    name: &'static str,
    runs: bool,
    port: u16,
    alias: &'static str,
}

impl Truth {
    fn json(&self, number: usize) -> Value {
        let status = if self.runs { "running" } else { "exited" };
        json!({
            "Id": id(number).as_str(),
            "Name": format!("/{}", self.name),
            "State": {"Status": status},
            "Config": {"Hostname": self.alias},
            "NetworkSettings": {"Ports": {"1/tcp": [{"HostIp": "", "HostPort": self.port.to_string()}]}},
        })
    }

    fn container(&self, number: usize) -> Arc<Container> {
        Arc::new(Container::decode(self.json(number).to_string().as_bytes()).unwrap())
    }

    fn listed(&self, number: usize) -> Value {
        let state = if self.runs { "running" } else { "exited" };
        json!({
            "Id": id(number).as_str(),
            "Names": [format!("/{}", self.name)],
            "State": state,
            "Ports": [{"PrivatePort": 1, "PublicPort": self.port, "Type": "tcp"}],
        })
    }
}

type World = BTreeMap<usize, Truth>;

/// A step of the world, of the wire, or of who asks.
#[derive(Clone, Debug)]
enum Step {
    Create(usize, usize, usize),
    Start(usize, u16),
    Die(usize),
    Rename(usize, usize),
    Remove(usize),
    /// The oldest event that is on its way arrives.
    Arrive,
    Inspect(usize),
    Answer,
    List,
    ListAnswer,
    Cut,
    /// The stream comes back, with what happened since left out.
    Resume,
    /// Somebody asks for this, and is told if it is not there.
    Miss(usize),
    MissAnswer,
    /// What is known of it has led nowhere.
    Doubt(usize),
}

/// All words that a container can go by.
const WORDS: [&str; 6] = ["a", "b", "c", "d", "x", "y"];

fn word(number: usize) -> ContainerRef {
    ContainerRef::parse(WORDS[number]).unwrap()
}

fn step() -> impl Strategy<Value = Step> {
    let number = 0..5_usize;
    prop_oneof![
        2 => (number.clone(), 0..4_usize, 0..4_usize).prop_map(|(n, a, b)| Step::Create(n, a, b)),
        3 => (number.clone(), 1..9_u16).prop_map(|(n, port)| Step::Start(n, port)),
        2 => number.clone().prop_map(Step::Die),
        1 => (number.clone(), 0..4_usize).prop_map(|(n, a)| Step::Rename(n, a)),
        1 => number.clone().prop_map(Step::Remove),
        12 => Just(Step::Arrive),
        6 => number.clone().prop_map(Step::Inspect),
        6 => Just(Step::Answer),
        2 => Just(Step::List),
        6 => Just(Step::ListAnswer),
        1 => Just(Step::Cut),
        2 => Just(Step::Resume),
        4 => (0..6_usize).prop_map(Step::Miss),
        4 => Just(Step::MissAnswer),
        1 => number.prop_map(Step::Doubt),
    ]
}

/// The daemon, the wire, and the index at its end.
#[derive(Default)]
struct Model {
    world: World,
    index: Index,
    wire: std::collections::VecDeque<Event>,
    inspects: Vec<(Mark, Arc<Container>)>,
    list: Option<(Mark, Vec<Listed>)>,
    misses: Vec<(Mark, ContainerRef)>,
    following: bool,
}

impl Model {
    fn tell(&mut self, number: usize, what: What) {
        let name = self.world.get(&number).map(|truth| truth.name.to_owned());
        if self.following {
            let (time, id) = (EventTime(1), id(number));
            self.wire.push_back(Event {
                time,
                what,
                id,
                name,
            });
        }
    }

    fn is_free(&self, name: &str) -> bool {
        self.world.values().all(|truth| truth.name != name)
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Create(n, name, alias) => {
                if !self.world.contains_key(&n) && self.is_free(NAMES[name]) {
                    let (name, alias) = (NAMES[name], ["x", "y", "a", "b"][alias]);
                    self.world.insert(
                        n,
                        Truth {
                            name,
                            alias,
                            runs: false,
                            port: 1,
                        },
                    );
                    self.tell(n, What::Created);
                }
            }
            Step::Start(n, port) => {
                if let Some(truth) = self.world.get_mut(&n).filter(|truth| !truth.runs) {
                    (truth.runs, truth.port) = (true, port);
                    self.tell(n, What::Other);
                }
            }
            Step::Die(n) => {
                if let Some(truth) = self.world.get_mut(&n).filter(|truth| truth.runs) {
                    truth.runs = false;
                    self.tell(n, What::Stopped);
                }
            }
            Step::Rename(n, name) => {
                if self.is_free(NAMES[name])
                    && let Some(truth) = self.world.get_mut(&n)
                {
                    truth.name = NAMES[name];
                    self.tell(n, What::Other);
                }
            }
            Step::Remove(n) => {
                if self.world.get(&n).is_some_and(|truth| !truth.runs) {
                    self.tell(n, What::Removed);
                    self.world.remove(&n);
                }
            }
            Step::Arrive => {
                if let Some(event) = self.wire.pop_front() {
                    self.index.apply(&event);
                }
            }
            Step::Inspect(n) => {
                if let Some(truth) = self.world.get(&n) {
                    self.inspects.push((self.index.mark(), truth.container(n)));
                }
            }
            Step::Answer => {
                if !self.inspects.is_empty() {
                    let (mark, container) = self.inspects.remove(0);
                    self.index.learn(mark, &container);
                }
            }
            Step::List => {
                if self.following && self.list.is_none() {
                    let mark = self.index.list_begins();
                    let list: Vec<_> = self.world.iter().map(|(n, one)| one.listed(*n)).collect();
                    let list = Listed::decode(Value::from(list).to_string().as_bytes()).unwrap();
                    self.list = Some((mark, list));
                }
            }
            Step::ListAnswer => {
                // A part of it, or its end.
                if let Some((mark, mut list)) = self.list.take() {
                    if list.is_empty() {
                        self.index.list_ends(mark);
                        return;
                    }
                    let rest = list.split_off(list.len().min(2));
                    self.index.apply_list(mark, &list);
                    self.list = Some((mark, rest));
                }
            }
            Step::Cut => {
                self.following = false;
                self.list = None;
                self.wire.clear();
                self.index.stream_ends();
            }
            Step::Resume => {
                if !self.following {
                    self.following = true;
                    self.index.stream_begins();
                }
            }
            Step::Miss(n) => {
                if !self.goes_by(WORDS[n]) {
                    self.misses.push((self.index.mark(), word(n)));
                }
            }
            Step::MissAnswer => {
                if !self.misses.is_empty() {
                    let (mark, word) = self.misses.remove(0);
                    let wanted = Wanted::Ref(&word);
                    self.index.learn_absent(mark, &wanted, Instant::now());
                }
            }
            Step::Doubt(n) => self.index.doubt(&Wanted::Id(&id(n))),
        }
    }

    /// Whether any container, running or not, is called so.
    fn goes_by(&self, word: &str) -> bool {
        let by = |truth: &Truth| truth.name == word || truth.alias == word;
        self.world.values().any(by)
    }

    /// What the world says, if nothing is on its way any more.
    fn expected(&self, wanted: &Wanted<'_>) -> Option<usize> {
        let by = |is: &dyn Fn(&(&usize, &Truth)) -> bool| {
            let found: Vec<_> = self.world.iter().filter(|one| is(one)).collect();
            (found.len() == 1).then(|| *found[0].0)
        };
        match wanted {
            Wanted::Id(wanted) => by(&|(n, _)| id(**n).starts_with(wanted)),
            Wanted::Ref(name) => {
                let name = name.as_str();
                let named = self.world.values().any(|truth| truth.name == name);
                match named {
                    true => by(&|(_, truth)| truth.name == name),
                    false => by(&|(_, truth)| truth.runs && truth.alias == name),
                }
            }
        }
    }

    /// All that anybody could ask for.
    fn check(&self) {
        let now = Instant::now();
        for text in WORDS {
            let word = ContainerRef::parse(text).unwrap();
            assert!(!self.index.is_absent(&Wanted::Ref(&word), now) || !self.goes_by(text));
        }
        let refs = [0, 1, 2, 3, 4, 5].map(word);
        let ids: Vec<_> = (0..5).flat_map(|n| [id(n), short(n)]).collect();
        let wanted = refs
            .iter()
            .map(Wanted::Ref)
            .chain(ids.iter().map(Wanted::Id));
        for wanted in wanted {
            let Some(found) = self.index.get(&wanted) else {
                continue;
            };
            assert!(self.following);
            let truth = self.expected(&wanted).map(|n| self.world[&n].container(n));
            assert_eq!(Some(found), truth.as_ref());
            assert_eq!(found.not_running(), None);
        }
    }

    fn naive_unseen(&self) -> usize {
        self.index
            .entries
            .values()
            .filter(|entry| entry.is_unseen())
            .count()
    }

    fn settle(&mut self) {
        for _ in 0..200 {
            self.run(&Step::Arrive);
            self.run(&Step::Answer);
        }
        let list_answers = |model: &mut Self| (0..5).for_each(|_| model.run(&Step::ListAnswer));
        list_answers(self);
        self.run(&Step::Resume);
        self.run(&Step::List);
        list_answers(self);
        for n in 0..5 {
            self.run(&Step::Inspect(n));
            self.run(&Step::Answer);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// With every event on its way taken in, nothing that is served is wrong;
    /// with everything inspected after that, all that can be served is.
    #[test]
    fn what_is_served_is_true(steps in proptest::collection::vec(step(), 0..120)) {
        let mut model = Model::default();
        model.run(&Step::Resume);
        for step in &steps {
            model.run(step);
            if model.wire.is_empty() {
                model.check();
            }
            prop_assert_eq!(model.index.words.unseen, model.naive_unseen());
        }
        model.settle();
        model.check();
        for (n, truth) in model.world.clone() {
            let found = model.index.get(&Wanted::Id(&id(n)));
            prop_assert_eq!(found.is_some(), truth.runs);
            let name = ContainerRef::parse(truth.name).unwrap();
            prop_assert_eq!(model.index.get(&Wanted::Ref(&name)).is_some(), truth.runs);
        }
        prop_assert_eq!(model.index.entries.len(), model.world.len());
        prop_assert!(model.index.words.count() <= model.world.len());
    }
}

#[test]
fn what_is_not_there_is_remembered_for_a_while_and_with_a_bound() {
    let mut index = Index::default();
    index.stream_begins();
    let mark = index.list_begins();
    index.list_ends(mark);
    let (mark, now) = (index.mark(), Instant::now());
    let names: Vec<_> = (0..2000)
        .map(|n| ContainerRef::parse(&format!("no-{n}")).unwrap())
        .collect();
    let absent = |index: &Index, now| {
        let is_absent = |name: &&ContainerRef| index.is_absent(&Wanted::Ref(name), now);
        names.iter().filter(is_absent).count()
    };
    for name in &names {
        index.learn_absent(mark, &Wanted::Ref(name), now);
    }
    assert_eq!(absent(&index, now), 1024);
    let later = now + Duration::from_secs(11);
    assert_eq!(absent(&index, later), 0);
    index.learn_absent(mark, &Wanted::Ref(&names[1999]), later);
    assert_eq!(absent(&index, later), 1);
}
