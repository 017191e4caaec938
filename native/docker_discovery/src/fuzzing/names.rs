//! Names, endpoints and settings: what is read is what was written.

use std::net::{IpAddr, Ipv4Addr};

use hyper::Uri;

use super::stays_a_segment;
use crate::docker::endpoint::{Authority, Endpoint, EndpointError};
use crate::docker::version::ApiVersion;
use crate::error::Error;
use crate::host_addr::HostAddr;
use crate::node_name::{ContainerId, ContainerRef, NodeName, Scheme};
use crate::settings::AllowedHosts;

/// A node name, as it comes from another node.
pub fn node_name(bytes: &[u8]) {
    let name = match NodeName::parse(bytes) {
        Ok(name) => name,
        Err(Error::BadNodeName(text)) => return assert!(text.chars().count() <= 255),
        Err(other) => panic!("{other:?}"),
    };
    assert_eq!(name.as_str().as_bytes(), bytes);
    assert_eq!(format!("{}@{}", name.name(), name.host()), name.to_string());
    match name.scheme() {
        Scheme::OnHost { id, host } => {
            assert_eq!(id.as_str(), name.name());
            assert_eq!(ContainerId::parse(id.as_str()), Some(id.clone()));
            stays_a_segment(id.as_str());
            stays_an_authority(&host, 4243);
        }
        Scheme::InContainer { name, container } => {
            assert!(!name.is_empty());
            let text = container.as_str();
            assert_eq!(ContainerRef::parse(text), Some(container.clone()));
            stays_a_segment(text);
        }
        Scheme::Other => {}
    }
}

/// A host in a URL leads to that host, and nothing of it to a path or a user.
fn stays_an_authority(host: &HostAddr, port: u16) {
    assert_eq!(HostAddr::parse(&host.to_string()).as_ref(), Some(host));
    let uri: Uri = format!("http://{}/_ping", Authority(host, port))
        .parse()
        .unwrap();
    assert_eq!((uri.path(), uri.query()), ("/_ping", None));
    assert_eq!(uri.port_u16(), Some(port));
    let bare = uri.host().unwrap().trim_matches(['[', ']']);
    assert_eq!(HostAddr::parse(bare).as_ref(), Some(host));
    assert!(!uri.authority().unwrap().as_str().contains('@'));
}

/// What may stand in `DOCKER_HOST`.
pub fn endpoint(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match Endpoint::parse(text) {
        Ok(endpoint) => {
            assert_eq!(Endpoint::parse(&endpoint.to_string()), Ok(endpoint.clone()));
            match &endpoint {
                Endpoint::Tcp { host, port } => stays_an_authority(host, *port),
                Endpoint::Unix(path) => {
                    assert!(path.is_absolute() && path.as_os_str().len() <= 103);
                }
            }
        }
        Err(EndpointError::Malformed(said)) => assert_eq!(said, text),
        Err(error) => assert!(error.to_string().contains("not supported")),
    }
}

/// The settings that have a syntax: hosts, and a version in the first word.
pub fn settings(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let words: Vec<_> = text.split([',', ' ', '\n']).collect();
    if let Ok(version) = ApiVersion::parse(words[0]) {
        assert_eq!(ApiVersion::parse(&version.to_string()), Ok(version));
        assert!(super::is_ours(&format!("/v{version}/_ping")));
    }
    let alone: Vec<_> = words
        .iter()
        .map(|word| AllowedHosts::parse(&[word]))
        .collect();
    match AllowedHosts::parse(&words) {
        Ok(all) => {
            let alone: Vec<_> = alone.into_iter().map(Result::unwrap).collect();
            words.iter().for_each(|word| allows_itself(&all, word));
            for ip in probes(&words) {
                let any = alone.iter().any(|one| one.allows(ip, None));
                assert_eq!(all.allows(ip, None), any, "{ip}");
                assert_eq!(all.allows(mapped(ip), None), any, "{ip}, mapped");
            }
        }
        Err(error) => {
            let first = alone.into_iter().find_map(Result::err);
            assert_eq!(Some(error), first);
        }
    }
}

fn allows_itself(all: &AllowedHosts, word: &str) {
    match HostAddr::parse(word) {
        Some(HostAddr::Ip(ip)) => assert!(all.allows(ip, None), "{word}"),
        Some(HostAddr::Name(name)) => {
            let upper = name.to_ascii_uppercase();
            assert!(all.allows(Ipv4Addr::new(8, 8, 8, 8).into(), Some(&upper)));
        }
        None => {}
    }
}

fn probes(words: &[&str]) -> Vec<IpAddr> {
    let fixed = ["8.8.8.8", "10.0.0.1", "127.0.0.1", "::1", "2001:db8::1"];
    let all = fixed.iter().chain(words);
    all.filter_map(|text| text.parse().ok()).collect()
}

fn mapped(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().into(),
        ip => ip,
    }
}
