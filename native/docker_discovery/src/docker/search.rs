//! The search for a container that inspect does not know by that reference:
//! by name, id and Compose service, which the list of all containers shows, and
//! then by hostname and alias, which only their inspects show.

use std::sync::Arc;

use futures_util::stream::{self, StreamExt};

use super::client::Daemon;
use super::container::Container;
use super::find::{Wanted, reinspect};
use super::list::{Listed, list};
use crate::error::{ContainerState, Error};
use crate::node_name::ContainerId;

/// Inspects at a time.
const SEARCHERS: usize = 16;
/// Ids that an ambiguous reference tells.
const MAX_IDS: usize = 16;

/// Looks through all containers. One that runs counts for more than any that
/// does not.
pub(super) async fn search(
    daemon: &Arc<Daemon>,
    wanted: &Wanted<'_>,
    network: Option<&str>,
) -> Result<Arc<Container>, Error> {
    let (direct, others): (Vec<_>, Vec<_>) = list(daemon)
        .await?
        .all()
        .await?
        .into_iter()
        .partition(|listed| wanted.is_listed_as(listed));
    if matches!(wanted, Wanted::Id(_)) && direct.len() > 1 {
        return Err(ambiguous(direct.into_iter().map(|listed| listed.id)));
    }
    let (direct, stopped): (Vec<_>, Vec<_>) = direct.into_iter().partition(Listed::is_running);
    let (mut others, mut rest): (Vec<_>, Vec<_>) = others.into_iter().partition(Listed::is_running);
    let mut budget = daemon.limits.max_inspected;
    let cut = [&mut others, &mut rest].map(|some| bound(daemon, some, &mut budget));

    let any = |_: &Container| true;
    let called = |container: &Container| wanted.is_called(container);
    let mut matches = Matches::default();
    if cut.contains(&true) && wanted.may_be_an_alias() {
        matches.unseen = Some(Error::Busy);
    }
    matches.collect(daemon, direct, any).await?;
    if matches.running.is_empty() && wanted.may_be_an_alias() {
        matches.collect(daemon, others, called).await?;
    }
    if matches.running.is_empty() {
        matches.collect(daemon, stopped, any).await?;
    }
    if matches.running.is_empty() && wanted.may_be_an_alias() {
        matches.collect(daemon, rest, called).await?;
    }
    matches.decide(network)
}

/// All containers that run, up to as many as a search looks at.
pub(crate) async fn all_running(daemon: &Arc<Daemon>) -> Result<Vec<Arc<Container>>, Error> {
    let mut running = list(daemon).await?.all().await?;
    running.retain(Listed::is_running);
    bound(
        daemon,
        &mut running,
        &mut daemon.limits.max_inspected.clone(),
    );
    let mut all = Matches::default();
    all.collect(daemon, running, |_| true).await?;
    Ok(all.running)
}

/// Leaves those that are known, and as many more as the budget has: so the next
/// search gets further, and in the end all that runs is known. Whether any had to go.
fn bound(daemon: &Daemon, listed: &mut Vec<Listed>, budget: &mut usize) -> bool {
    let all = listed.len();
    listed.retain(|one| {
        let is_known = daemon.known.get(&Wanted::Id(&one.id)).is_some();
        let stays = is_known || *budget > 0;
        *budget -= usize::from(stays && !is_known);
        stays
    });
    listed.len() < all
}

/// From memory, if it is known; else it is inspected.
async fn look(daemon: &Arc<Daemon>, id: &ContainerId) -> Result<Option<Arc<Container>>, Error> {
    match daemon.known.get(&Wanted::Id(id)) {
        Some(known) => Ok(Some(known)),
        None => reinspect(daemon, id).await,
    }
}

/// What a search has found so far.
#[derive(Default)]
struct Matches {
    running: Vec<Arc<Container>>,
    stopped: Vec<Arc<Container>>,
    /// A container that could not be looked at: it may have been the one.
    unseen: Option<Error>,
}

impl Matches {
    async fn collect(
        &mut self,
        daemon: &Arc<Daemon>,
        listed: Vec<Listed>,
        is_match: impl Fn(&Container) -> bool,
    ) -> Result<(), Error> {
        let looks = listed.into_iter().map(|listed| {
            let daemon = Arc::clone(daemon);
            async move { look(&daemon, &listed.id).await }
        });
        let mut looks = stream::iter(looks).buffer_unordered(SEARCHERS);
        while let Some(look) = looks.next().await {
            match look {
                Ok(Some(container)) if is_match(&container) => self.add(container),
                Ok(_) => {}
                // One odd container must not hide all others.
                Err(
                    error @ (Error::Status { .. } | Error::BadResponse(_) | Error::TooLarge(_)),
                ) => self.unseen = Some(error),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn add(&mut self, container: Arc<Container>) {
        match container.not_running() {
            None => self.running.push(container),
            Some(_) => self.stopped.push(container),
        }
    }

    fn decide(mut self, network: Option<&str>) -> Result<Arc<Container>, Error> {
        if self.running.len() > 1 {
            let on_network = |container: &Arc<Container>| {
                let label = container.config.labels.get("epmd-docker.network");
                let networks = &container.network_settings;
                network.or(label).is_some_and(|name| networks.is_on(name))
            };
            if self.running.iter().filter(|one| on_network(one)).count() != 1 {
                return Err(ambiguous(self.running.iter().map(|one| one.id.clone())));
            }
            self.running.retain(on_network);
        }
        let stopped = || {
            let key = |one: &Arc<Container>| (one.not_running().map(liveliness), one.id.clone());
            self.stopped.into_iter().min_by_key(key)
        };
        let none = self.unseen.unwrap_or(Error::NoSuchContainer);
        self.running.pop().or_else(stopped).ok_or(none)
    }
}

fn ambiguous(ids: impl Iterator<Item = ContainerId>) -> Error {
    let mut ids: Vec<_> = ids.collect();
    ids.sort_unstable();
    ids.truncate(MAX_IDS);
    Error::Ambiguous(ids)
}

/// How near to running: of several that do not run, the nearest counts.
fn liveliness(state: ContainerState) -> u8 {
    match state {
        ContainerState::Restarting => 0,
        ContainerState::Paused => 1,
        ContainerState::Created => 2,
        _ => 3,
    }
}
