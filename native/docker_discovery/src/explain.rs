//! What a daemon says about a node's container, in full: for people who look
//! for a fault. The choice itself is that of a lookup.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::candidate::Candidate;
use crate::dist_port::PortSource;
use crate::docker::container::Container;
use crate::docker::find::{Wanted, find};
use crate::error::Error;
use crate::found::{ContainerInfo, DistPort, Family};
use crate::look::{self, Target};
use crate::node_name::NodeName;
use crate::resolve::Resolver;

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
        let target = self.target(node, &scheme, family)?;
        let mut explained = Explained {
            daemon: target.daemon.link.text.clone(),
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
