//! From a reference to the one container that it means. Docker's own inspect
//! answers names before ids, and any unique prefix of an id; what comes back is
//! therefore checked, and otherwise the list decides.

use std::sync::Arc;

use super::client::Daemon;
use super::container::Container;
use super::list::Listed;
use super::search::search;
use crate::error::Error;
use crate::node_name::{ContainerId, ContainerRef};

/// Of what is kept of a container, about 2 KiB as a rule: of a long answer most is environment.
const MAX_WEIGHT: usize = 256 << 10;

/// What a container is asked for by.
#[derive(Clone, Copy)]
pub(crate) enum Wanted<'a> {
    /// An id, and nothing but an id.
    Id(&'a ContainerId),
    /// Whatever people call a container.
    Ref(&'a ContainerRef),
}

impl Wanted<'_> {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Id(id) => id.as_str(),
            Self::Ref(reference) => reference.as_str(),
        }
    }

    fn is(&self, container: &Container) -> bool {
        match self {
            Self::Id(id) => container.id.starts_with(id),
            Self::Ref(reference) => {
                &*container.name == reference.as_str() || has_id(&container.id, reference)
            }
        }
    }

    /// By name, id or Compose service.
    pub(super) fn is_listed_as(&self, listed: &Listed) -> bool {
        match self {
            Self::Id(id) => listed.id.starts_with(id),
            Self::Ref(reference) => {
                let text = reference.as_str();
                listed.is_named(text) || has_id(&listed.id, reference) || listed.is_of_service(text)
            }
        }
    }

    /// Whether a hostname or an alias may be meant.
    pub(super) fn may_be_an_alias(&self) -> bool {
        matches!(self, Self::Ref(_))
    }

    /// By hostname or alias.
    pub(super) fn is_called(&self, container: &Container) -> bool {
        match self {
            Self::Id(_) => false,
            Self::Ref(reference) => container.is_called(reference.as_str()),
        }
    }
}

fn has_id(id: &ContainerId, reference: &ContainerRef) -> bool {
    ContainerId::parse(reference.as_str()).is_some_and(|prefix| id.starts_with(&prefix))
}

/// The container that is wanted, running or not. With several that run, the
/// `network` of the settings or of their labels may tell which.
pub(crate) async fn find(
    daemon: &Arc<Daemon>,
    wanted: &Wanted<'_>,
    network: Option<&str>,
) -> Result<Arc<Container>, Error> {
    match (inspect(daemon, wanted.as_str()).await?, wanted) {
        (Answer::One(container), _) if wanted.is(&container) => Ok(container),
        // Docker looks at ids last, so there is none.
        (Answer::None, Wanted::Id(_)) => Err(Error::NoSuchContainer),
        _ => search(daemon, wanted, network).await,
    }
}

/// The container of this full id, if it is still there.
pub(crate) async fn reinspect(
    daemon: &Arc<Daemon>,
    id: &ContainerId,
) -> Result<Option<Arc<Container>>, Error> {
    match inspect(daemon, id.as_str()).await? {
        Answer::One(container) if container.id.starts_with(id) => Ok(Some(container)),
        _ => Ok(None),
    }
}

enum Answer {
    One(Arc<Container>),
    None,
    Several,
}

async fn inspect(daemon: &Arc<Daemon>, reference: &str) -> Result<Answer, Error> {
    let path = format!("/containers/{reference}/json");
    match daemon.get(&path, daemon.limits.max_body).await {
        Ok(reply) => {
            let container = Container::decode(&reply.body)?;
            if container.weight() > MAX_WEIGHT {
                return Err(Error::TooLarge(MAX_WEIGHT as u64));
            }
            Ok(Answer::One(daemon.known.learn(reply.asked_at, container)))
        }
        Err(Error::Status { code: 404, .. }) => Ok(Answer::None),
        Err(Error::Status { message, .. }) if is_ambiguous(&message) => Ok(Answer::Several),
        Err(error) => Err(error),
    }
}

/// Docker 20.10 answers a prefix of several ids with status 500 and "Multiple
/// IDs found with provided prefix", Podman with "more than one result".
fn is_ambiguous(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.contains("multiple ids found") || message.contains("more than one")
}
