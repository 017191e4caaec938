//! This machine's own addresses: they say which networks we are on and whether
//! a daemon runs here.

use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ipnet::IpNet;

use crate::sync::lock;

/// How long one reading is good for: reading costs more than an inspect.
pub(crate) const MAX_AGE: Duration = Duration::from_secs(2);

/// The same where a reading was of no use: a network may be new. Docker makes
/// it longer than this before a container on it runs.
pub(crate) const MAX_AGE_IN_DOUBT: Duration = Duration::from_millis(100);

/// The same for who cannot read them, as long as no daemon that is followed
/// tells of a container, maybe ours, that joins or leaves a network.
pub(crate) const MAX_AGE_UNREAD: Duration = Duration::from_secs(30);

/// How often a daemon has told so.
static NETWORK_EVENTS: AtomicU64 = AtomicU64::new(0);

/// A container has joined or left a network.
pub(crate) fn network_event() {
    NETWORK_EVENTS.fetch_add(1, Relaxed);
}

/// The interfaces of a container engine that only exist on its host.
const BRIDGES: [&str; 3] = ["docker0", "podman0", "cni-podman0"];

/// What we see of the network from here.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    addresses: Vec<IpAddr>,
    /// Whether the host's own network is ours too: not so in a container,
    /// unless that uses the host's network.
    pub(crate) on_host: bool,
}

impl View {
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn new(addresses: &[IpAddr], on_host: bool) -> Self {
        Self {
            addresses: addresses.to_vec(),
            on_host,
        }
    }

    fn read() -> Self {
        // No interfaces is a machine without network: published ports on its
        // loopback still work.
        let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
        let in_container = ["/.dockerenv", "/run/.containerenv"]
            .iter()
            .any(|mark| Path::new(mark).exists());
        let bridge = |name: &str| BRIDGES.contains(&name);
        Self {
            on_host: !in_container || interfaces.iter().any(|one| bridge(&one.name)),
            addresses: interfaces.iter().map(if_addrs::Interface::ip).collect(),
        }
    }

    /// Whether this is an address of this machine.
    pub(crate) fn is_ours(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        ip.is_loopback() || self.addresses.contains(&ip)
    }

    /// Whether we have an address in the subnet of this one.
    pub(crate) fn shares(&self, ip: IpAddr, prefix: u8) -> bool {
        // A prefix of 0 is one that Docker did not know.
        prefix > 0
            && IpNet::new(ip, prefix)
                .is_ok_and(|net| self.addresses.iter().any(|own| net.contains(own)))
    }
}

/// The view, read when needed and kept for a moment.
#[derive(Debug, Default)]
pub(crate) struct Interfaces {
    last: Mutex<Option<Reading>>,
}

#[derive(Clone, Debug)]
struct Reading {
    at: Instant,
    /// The network events before it.
    events: u64,
    view: Arc<View>,
}

impl Interfaces {
    /// The last view, if it is not older than this, or no network event came
    /// since: whoever joins a network makes one. Never waits.
    pub(crate) fn recent(&self, max_age: Duration) -> Option<Arc<View>> {
        let last = self.last.try_lock().ok()?;
        let last = last.as_ref()?;
        let quiet = last.events == NETWORK_EVENTS.load(Relaxed);
        let max_age = if quiet { MAX_AGE_UNREAD } else { max_age };
        (last.at.elapsed() < max_age).then(|| Arc::clone(&last.view))
    }

    /// A view that is not older than this.
    pub(crate) fn view(&self, max_age: Duration) -> Arc<View> {
        let mut last = lock(&self.last);
        match &*last {
            Some(last) if last.at.elapsed() < max_age => Arc::clone(&last.view),
            _ => {
                let events = NETWORK_EVENTS.load(Relaxed);
                let view = Arc::new(View::read());
                *last = Some(Reading {
                    at: Instant::now(),
                    events,
                    view: Arc::clone(&view),
                });
                view
            }
        }
    }
}
