//! Which port a node listens on inside its container.

use crate::docker::container::Container;
use crate::docker::decode;
use crate::found::DistPort;
use crate::settings::Settings;

/// What told the distribution port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortSource {
    /// A label of the container.
    Label,
    /// `ERL_DIST_PORT` in the container's environment.
    Environment,
    /// Our setting `remote_port`.
    Setting,
    /// The port that nodes of a `ContainerId@HostAddr` have by default.
    Default,
    /// Nobody: the container's epmd has to.
    Epmd,
    /// Who asked, as for an entry of the node table.
    Given,
}

/// The distribution port of the node `name` inside its container: as its
/// labels, its environment or our settings say, first that is known.
pub(crate) fn dist_port(
    container: &Container,
    name: &str,
    on_host: bool,
    settings: &Settings,
) -> (DistPort, PortSource) {
    let labels = &container.config.labels;
    let label = |key: &str| {
        let port = labels.get(key).and_then(decode::port)?;
        Some((port, PortSource::Label))
    };
    let from = |port: Option<u16>, source| Some((port.filter(|port| *port != 0)?, source));
    let on_host_port = on_host.then_some(settings.on_host_port);
    label(&format!("epmd-docker.port.{name}"))
        .or_else(|| label("epmd-docker.port"))
        .or_else(|| Some((container.config.dist_port.0?, PortSource::Environment)))
        .or_else(|| from(settings.remote_port, PortSource::Setting))
        .or_else(|| from(on_host_port, PortSource::Default))
        .map_or((DistPort::Epmd, PortSource::Epmd), |(port, source)| {
            (DistPort::Known(port), source)
        })
}
