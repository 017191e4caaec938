//! What daemons say of containers: one, or all of them.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv6Addr};

use super::{SECRET, stays_a_segment};
use crate::dist_port::dist_port;
use crate::docker::container::Container;
use crate::docker::list::Listed;
use crate::error::Error;
use crate::found::{DistPort, Family};
use crate::interfaces::View;
use crate::known::Known;
use crate::names::named_nodes;
use crate::route::{Vantage, route};
use crate::settings::{AddressMode, Settings};

/// A body that is refused: why, in a few words, and none of them a secret.
fn refused(error: &Error) {
    let Error::BadResponse(detail) = error else {
        panic!("{error:?}");
    };
    assert!(detail.chars().count() <= 200 && !detail.contains(SECRET));
}

/// The answer to an inspect.
pub fn container(body: &[u8]) {
    let container = match Container::decode(body) {
        Ok(container) => container,
        Err(error) => return refused(&error),
    };
    assert_eq!(Container::decode(body).as_ref(), Ok(&container));
    assert!(named_nodes(&container).iter().all(|name| !name.is_empty()));
    for word in container.also_called() {
        assert!(container.is_called(word) || container.service() == Some(word));
    }
    if let Some(other) = container.network_host() {
        stays_a_segment(other.as_str());
    }
    let mut joined = container.clone();
    joined.join(&container);
    assert_eq!(joined, container);
    for address in [
        AddressMode::Auto,
        AddressMode::Container,
        AddressMode::Published,
    ] {
        let settings = Settings {
            address,
            ..Settings::default()
        };
        for bits in 0..16 {
            ways(&container, &settings, bits);
        }
    }
}

/// From each point of view there is one way or a reason why there is none.
fn ways(container: &Container, settings: &Settings, bits: u8) {
    let bit = |nth: u8| bits & (1 << nth) != 0;
    let family = [Family::Inet, Family::Inet6][usize::from(bit(0))];
    let own = [
        IpAddr::from([172, 17, 0, 1]),
        IpAddr::from(Ipv6Addr::LOCALHOST),
    ];
    let hosts = [
        [10, 99, 0, 1].into(),
        IpAddr::from([0xfd, 0, 0, 0, 0, 0, 0, 1u16]),
    ];
    let vantage = Vantage {
        settings,
        family,
        view: &View::new(&own, bit(1)),
        on_host: bit(2),
        local: bit(3),
        host: hosts.into_iter().find(|ip| family.has(*ip)),
        host_name: "host",
    };
    let (port, _) = dist_port(container, &container.name, bit(2), settings);
    let given = [port, DistPort::Known(12345), DistPort::Epmd];
    for port in given {
        assert_ne!(port, DistPort::Known(0));
        let way = route(container, port, &vantage);
        assert_eq!(way, route(container, port, &vantage));
        match way {
            Ok(way) => {
                assert_eq!(way.address.is_ipv4(), family == Family::Inet);
                assert!(!way.address.to_canonical().is_unspecified());
                assert_ne!(way.port, DistPort::Known(0));
                let elsewhere = bit(2) && !bit(3) && settings.address == AddressMode::Published;
                let loopback = way.address.to_canonical().is_loopback();
                assert!(!(elsewhere && loopback));
            }
            Err(
                Error::NotPublished(_)
                | Error::LoopbackOnly(_)
                | Error::NoNetwork(_)
                | Error::NoHostAddress(_),
            ) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
}

/// The answer to the list of all containers.
pub fn list(body: &[u8]) {
    let list = match Listed::decode(body) {
        Ok(list) => list,
        Err(error) => return refused(&error),
    };
    for one in &list {
        assert!(one.name().is_empty() || one.is_named(one.name()));
        assert!(!one.name().contains('/'));
    }
    let known = Known::default();
    known.watched();
    known.stream_begins();
    // Twice: the same list changes nothing.
    for _ in 0..2 {
        let asked_at = known.list_begins();
        known.apply_list(asked_at, &list);
        known.list_ends(asked_at);
        known.check();
        let ids: HashSet<_> = list.iter().map(|one| &one.id).collect();
        assert_eq!(known.count(), (true, ids.len(), 0));
        assert!(known.wanted().is_empty());
    }
}
