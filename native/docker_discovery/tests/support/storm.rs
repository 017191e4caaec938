//! A storm of events at a daemon, and the truth at each moment of it.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::crowd::{Crowd, one_of_many};
use super::living::event;
use super::network;

/// 1,000 events a second.
const PACE: Duration = Duration::from_millis(1);

/// For how long: `EPMD_DOCKER_STORM_SECONDS`, else this.
pub fn seconds(otherwise: u64) -> u64 {
    let given = std::env::var("EPMD_DOCKER_STORM_SECONDS");
    given.map_or(otherwise, |text| text.parse().unwrap())
}

/// Where each container has been, and since when; nowhere while it is stopped.
type History = Vec<Vec<(Instant, Option<Ipv4Addr>)>>;

/// The storm.
pub struct Storm {
    history: Arc<Mutex<History>>,
    thread: JoinHandle<usize>,
}

impl Storm {
    /// Over the containers 0 to `size` of the crowd.
    pub fn over(crowd: Arc<Crowd>, size: usize, seconds: u64) -> Self {
        let begun = Instant::now();
        let first = |n| vec![(begun, Some(super::crowd::ip_of(n)))];
        let history: History = (0..size).map(first).collect();
        let history = Arc::new(Mutex::new(history));
        let told = Arc::clone(&history);
        let thread = thread::spawn(move || blow(&crowd, size, seconds, &told));
        Self { history, thread }
    }

    pub fn is_over(&self) -> bool {
        self.thread.is_finished()
    }

    /// Where number `n` is now.
    pub fn truth(&self, n: usize) -> Option<Ipv4Addr> {
        self.history.lock().unwrap()[n].last().unwrap().1
    }

    /// For how long it had not been there any more when it was asked for, at
    /// this moment; zero for what was true then or has become so since.
    pub fn lag(&self, n: usize, asked: Instant, answer: IpAddr) -> Duration {
        let history = self.history.lock().unwrap();
        let places = &history[n];
        let ends = places.iter().skip(1).map(|(since, _)| Some(*since));
        let ends = ends.chain([None]);
        let there = places
            .iter()
            .zip(ends)
            .filter(|((_, at), _)| at.map(IpAddr::from) == Some(answer));
        let lags = there
            .map(|(_, end)| end.map_or(Duration::ZERO, |end| asked.saturating_duration_since(end)));
        lags.min()
            .unwrap_or_else(|| panic!("number {n} was never at {answer}"))
    }

    /// How many events it has told.
    pub fn events(self) -> usize {
        self.thread.join().unwrap()
    }
}

fn blow(crowd: &Crowd, size: usize, seconds: u64, history: &Mutex<History>) -> usize {
    let mut containers: Vec<_> = (0..size).map(one_of_many).collect();
    let (begun, mut told, mut random) = (Instant::now(), 0, 1_u64);
    while begun.elapsed() < Duration::from_secs(seconds) {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let n = usize::try_from(random >> 33).unwrap() % size;
        let runs = history.lock().unwrap()[n].last().unwrap().1.is_some();
        let place = (!runs).then(|| {
            let [a, b, c, _] = u32::try_from(told).unwrap().to_le_bytes();
            Ipv4Addr::new(127, 128 + c, b, a)
        });
        set(&mut containers[n], place);
        history.lock().unwrap()[n].push((Instant::now(), place));
        crowd.put(&containers[n]);
        crowd
            .events
            .say(event(if runs { "die" } else { "start" }, &containers[n]));
        told += 1;
        thread::sleep((PACE * u32::try_from(told).unwrap()).saturating_sub(begun.elapsed()));
    }
    crowd.list(&containers);
    told
}

fn set(container: &mut Value, place: Option<Ipv4Addr>) {
    let state = if place.is_some() { "running" } else { "exited" };
    container["State"] = json!({"Status": state, "Running": place.is_some(), "Paused": false});
    if let Some(ip) = place {
        container["NetworkSettings"]["Networks"] =
            json!({"project_default": network(&ip.to_string(), 8)});
    }
}
