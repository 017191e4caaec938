//! What a daemon says about a node's container, in full: for people who look
//! for a fault. The choice itself is that of a lookup.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::candidate::{Candidate, Refusal, Verdict};
use crate::dist_port::PortSource;
use crate::docker::container::Container;
use crate::docker::find::{Wanted, find};
use crate::error::Error;
use crate::found::{ContainerInfo, DistPort, Family};
use crate::interfaces::MAX_AGE_IN_DOUBT;
use crate::look::{self, Lookout, Target, host_address, host_name};
use crate::node_name::NodeName;
use crate::resolve::Resolver;
use crate::route::candidates;

/// What is known of a node's container, as far as it got.
#[derive(Clone, Debug)]
pub struct Explained {
    /// The daemon that was asked, as the text of its endpoint.
    pub daemon: String,
    /// The container that it found.
    pub container: Option<ContainerInfo>,
    /// The distribution port in there, and what told it.
    pub port: Option<(DistPort, PortSource)>,
    /// The ways to it, where it runs.
    pub candidates: Vec<Candidate>,
    /// Why it did not get any further.
    pub error: Option<Error>,
}

impl Resolver {
    /// Asks the daemon once, not memory. An error is for a name that leads to
    /// no daemon.
    pub async fn explain(
        &self,
        node: &NodeName,
        family: Family,
        limit: Duration,
    ) -> Result<Explained, Error> {
        let scheme = node.scheme();
        self.daemons.locate_own().await;
        let target = self.target(node, &scheme, family)?;
        let mut explained = Explained {
            daemon: target.daemon.link.spot().text.clone(),
            container: None,
            port: None,
            candidates: Vec::new(),
            error: None,
        };
        let looked = timeout(limit, self.examine(&target, &mut explained)).await;
        explained.error = looked.unwrap_or(Err(Error::Timeout)).err();
        Ok(explained)
    }

    async fn examine(&self, target: &Target<'_>, explained: &mut Explained) -> Result<(), Error> {
        let daemon = &target.daemon;
        let network = self.settings().network.as_deref();
        let mut container: Arc<Container> = find(daemon, &target.wanted, network).await?;
        explained.container = Some(look::info(&container, daemon));
        if let Some(state) = container.not_running() {
            return Err(Error::NotRunning(state));
        }
        if let Some(other) = container.network_host() {
            let other = find(daemon, &Wanted::Ref(&other), None).await?;
            Arc::make_mut(&mut container).join(&other);
        }
        let (port, source) = self.lookout.port(target, &container);
        explained.port = Some((port, source));
        explained.candidates = self.lookout.ways(target, &container, port).await?;
        Ok(())
    }
}

impl Lookout {
    /// All ways to a container that runs, for people: with a view that is new.
    async fn ways(
        &self,
        target: &Target<'_>,
        container: &Container,
        port: DistPort,
    ) -> Result<Vec<Candidate>, Error> {
        let host = host_address(target).await?;
        let host_name = host_name(target);
        let view = self.view(MAX_AGE_IN_DOUBT).unwrap_or_default();
        let vantage = self.vantage(target, host, &host_name, &view);
        let mut all = candidates(container, port, &vantage);
        for one in &mut all {
            let Some((address, name)) = one.address.zip(target.host) else {
                continue;
            };
            let dialled = one.verdict == Verdict::Taken;
            if dialled && self.permitted(address, host, name).is_err() {
                one.verdict = Verdict::Refused(Refusal::HostNotAllowed);
            }
        }
        Ok(all)
    }
}
