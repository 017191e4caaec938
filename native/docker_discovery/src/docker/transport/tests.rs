//! What a host name resolves to is checked before anything is sent there.

use std::cell::RefCell;
use std::collections::VecDeque;

use super::*;
use crate::docker::locator::Origin;

fn link(host: &str, port: u16, allowed: Option<&str>) -> Link {
    let endpoint = Endpoint::parse(&format!("tcp://{host}:{port}")).unwrap();
    let guard = allowed.map(|entry| Arc::new(AllowedHosts::parse(&[entry]).unwrap()));
    let place = Place::given(Spot::new(endpoint, Origin::Setting));
    Link::new(place, guard, Duration::from_secs(2))
}

#[tokio::test]
async fn a_host_that_is_not_allowed_is_not_connected_to() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    for host in ["localhost", "127.0.0.1"] {
        let link = link(host, port, Some("10.0.0.0/8"));
        let refused = link.connect().await.map(|_| ());
        assert_eq!(refused, Err(Error::HostNotAllowed(host.to_owned())));
        assert_eq!((link.connects(), link.peer()), (0, None));
    }
    let accepted = tokio::time::timeout(Duration::from_millis(20), listener.accept()).await;
    assert!(accepted.is_err(), "nobody has connected");
}

#[tokio::test]
async fn a_host_that_is_allowed_by_name_or_by_the_user_is_connected_to() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    for allowed in [Some("localhost"), Some("*"), None] {
        let link = link("localhost", port, allowed);
        assert!(link.connect().await.is_ok());
        let peer = Some(IpAddr::from([127, 0, 0, 1]));
        assert_eq!((link.connects(), link.peer()), (1, peer));
    }
}

thread_local! {
    /// What the scripted name server says next; each test has a thread of its own.
    static ANSWERS: RefCell<VecDeque<Vec<IpAddr>>> = const { RefCell::new(VecDeque::new()) };
}

fn scripted(mut link: Link, answers: &[&[&str]]) -> Link {
    let parsed = answers
        .iter()
        .map(|ips| ips.iter().map(|ip| ip.parse().unwrap()).collect());
    ANSWERS.with_borrow_mut(|all| all.extend(parsed));
    link.names = |_, _| {
        let next = ANSWERS.with_borrow_mut(VecDeque::pop_front);
        Box::pin(async move { next.ok_or(Errno::Nxdomain) })
    };
    link
}

/// A name that is a host's at first, and another one's when it is asked for
/// again, leads nowhere: each answer is checked, and what was checked is dialled.
#[tokio::test]
async fn a_name_that_changes_its_address_does_not_get_around_the_check() {
    let allowed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = allowed.local_addr().unwrap().port();
    let other = tokio::net::TcpListener::bind(("127.0.0.9", port)).await;
    let other = other.unwrap();
    let link = scripted(
        link("rebind.example", port, Some("127.0.0.1")),
        &[&["127.0.0.1"], &["127.0.0.9"], &["127.0.0.1"]],
    );
    assert!(link.connect().await.is_ok());
    let refused = Err(Error::HostNotAllowed("rebind.example".to_owned()));
    assert_eq!(link.connect().await.map(|_| ()), refused);
    assert!(link.connect().await.is_ok());
    assert_eq!(ANSWERS.with_borrow(VecDeque::len), 0, "asked once for each");
    assert_eq!(link.peer(), Some(IpAddr::from([127, 0, 0, 1])));
    let accepted = tokio::time::timeout(Duration::from_millis(20), other.accept()).await;
    assert!(accepted.is_err(), "the other host was not connected to");
}

#[tokio::test]
async fn one_address_that_is_not_allowed_refuses_the_name() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let odd = "8.8.8.8 0.0.0.0 :: ::ffff:8.8.8.8 224.0.0.1 ff02::1 2001:db8::1";
    for ip in odd.split_whitespace() {
        for answer in [&["127.0.0.1", ip][..], &[ip, "127.0.0.1"], &[ip]] {
            let link = scripted(link("two.example", port, Some("127.0.0.0/8")), &[answer]);
            let refused = Err(Error::HostNotAllowed("two.example".to_owned()));
            assert_eq!(link.connect().await.map(|_| ()), refused, "{answer:?}");
            assert_eq!(link.connects(), 0);
        }
    }
}

/// The system reads more than dotted quads as addresses; what it makes of them
/// is what is checked.
#[tokio::test]
async fn another_spelling_of_an_address_is_checked_as_that_address() {
    let link = link("0x8.0x8.0x8.0x8", 1, Some("127.0.0.0/8"));
    let refused = Err(Error::HostNotAllowed("0x8.0x8.0x8.0x8".to_owned()));
    assert_eq!(link.connect().await.map(|_| ()), refused);
}
