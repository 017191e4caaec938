//! What a host name resolves to is checked before anything is sent there.

use super::*;

fn link(host: &str, port: u16, allowed: Option<&str>) -> Link {
    let endpoint = Endpoint::parse(&format!("tcp://{host}:{port}")).unwrap();
    let guard = allowed.map(|entry| Arc::new(AllowedHosts::parse(&[entry]).unwrap()));
    Link::new(endpoint, guard, Duration::from_secs(2))
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
