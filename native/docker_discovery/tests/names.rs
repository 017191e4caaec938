//! Everything that a user or a peer can write is parsed or refused, and prints
//! back to itself.

#![allow(clippy::unwrap_used, clippy::panic)]

use docker_discovery::{
    AllowedHosts, ApiVersion, ContainerId, ContainerRef, Endpoint, EndpointError, Error, HostAddr,
    NodeName, Scheme,
};
use proptest::prelude::*;

fn scheme(name: &str) -> Scheme {
    NodeName::parse(name.as_bytes()).unwrap().scheme()
}

fn is_url_safe(text: &str) -> bool {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    text.bytes().all(safe) && !text.starts_with('.')
}

#[test]
fn names_lead_where_the_design_says() {
    let id = "0123456789ab";
    let long = "0123456789abcdef".repeat(4);
    for id in [id, &long] {
        for host in ["10.99.0.1", "fd00::1", "docker1.example", "a-b.c"] {
            let expected = Scheme::OnHost {
                id: ContainerId::parse(id).unwrap(),
                host: HostAddr::parse(host).unwrap(),
            };
            assert_eq!(scheme(&format!("{id}@{host}")), expected);
        }
    }
    for container in ["web", "proj_web_1", id, &long, "Web-2"] {
        let expected = Scheme::InContainer {
            name: "app-1_x".into(),
            container: ContainerRef::parse(container).unwrap(),
        };
        assert_eq!(scheme(&format!("app-1_x@{container}")), expected);
    }
}

#[test]
fn all_else_is_not_for_docker() {
    let hosts = "localhost 127.0.0.1 host.example a/b a?b a#b .. %2f -a _a a;b a\"b ü 10.1 [::1] \
                 fe80::1%eth0 a..b";
    for host in hosts.split_whitespace() {
        assert_eq!(scheme(&format!("app@{host}")), Scheme::Other, "{host}");
    }
    let long_ids = [
        "0123456789a",
        "0123456789AB",
        "0123456789ag",
        &"a".repeat(65),
    ];
    for id in long_ids {
        assert_eq!(scheme(&format!("{id}@10.0.0.1")), Scheme::Other, "{id}");
    }
    for host in [
        "10.0.0.256",
        "1.2.3",
        "a.b-.c",
        "a..b",
        ".",
        "a.b:1",
        "x.y/z",
    ] {
        assert_eq!(
            scheme(&format!("0123456789ab@{host}")),
            Scheme::Other,
            "{host}"
        );
    }
    for name in ["a b", "a/b", "ü", "a'b", "%"] {
        assert_eq!(scheme(&format!("{name}@web")), Scheme::Other, "{name}");
    }
}

#[test]
fn what_no_atom_could_be_is_not_a_node_name() {
    let too_long = format!("a@{}", "ü".repeat(254));
    let bad: [&[u8]; 10] = [
        b"",
        b"a",
        b"@",
        b"a@",
        b"@a",
        b"a@b@c",
        b"a\n@b",
        b"a@b\0",
        b"a@\xff",
        too_long.as_bytes(),
    ];
    for bytes in bad {
        match NodeName::parse(bytes) {
            Err(Error::BadNodeName(text)) => assert!(text.chars().count() <= 255),
            other => panic!("{other:?}"),
        }
    }
    let longest = format!("a@{}", "ü".repeat(253));
    assert_eq!(
        NodeName::parse(longest.as_bytes()).unwrap().to_string(),
        longest
    );
}

#[test]
fn endpoints_have_one_canonical_text() {
    let cases = [
        ("unix:///var/run/docker.sock", "unix:///var/run/docker.sock"),
        ("/run/docker.sock", "unix:///run/docker.sock"),
        ("tcp://10.99.0.1:4243", "tcp://10.99.0.1:4243"),
        ("tcp://docker1", "tcp://docker1:2375"),
        ("http://docker1:80/", "tcp://docker1:80"),
        ("tcp://[::1]:2375", "tcp://[::1]:2375"),
        ("tcp://[0:0::1]", "tcp://[::1]:2375"),
    ];
    for (text, canonical) in cases {
        let endpoint = Endpoint::parse(text).unwrap();
        assert_eq!(endpoint.to_string(), canonical);
        assert_eq!(Endpoint::parse(canonical), Ok(endpoint));
    }
    let too_long = format!("/{}", "a".repeat(108));
    let bad = [
        "",
        "docker",
        "tcp://",
        "unix://",
        "unix://run",
        "/",
        "tcp://a:0",
        "tcp://a:65536",
        "tcp://a:b",
        "tcp://a:",
        "tcp://::1:2375",
        "tcp://[::1",
        "tcp://[1.2.3.4]:1",
        "tcp://a/b",
        "tcp://u@h:1",
        "gopher://a",
        "/a\nb",
        "tcp://a:+1",
        &too_long,
    ];
    for text in bad {
        let malformed = EndpointError::Malformed(text.to_owned());
        assert_eq!(Endpoint::parse(text), Err(malformed));
    }
    for scheme in ["ssh", "npipe", "https", "fd"] {
        let error = Endpoint::parse(&format!("{scheme}://x")).unwrap_err();
        assert_eq!(error, EndpointError::Unsupported(scheme.to_owned()));
        let instead = match scheme {
            "ssh" => "ssh -nNT -L /tmp/docker.sock:/var/run/docker.sock HOST",
            "npipe" => "tcp://HOST:PORT",
            "fd" => "unix:///var/run/docker.sock",
            _ => "TLS",
        };
        assert!(error.to_string().contains(instead), "{error}");
    }
    assert_eq!(
        Endpoint::default().to_string(),
        "unix:///var/run/docker.sock"
    );
}

#[test]
fn api_versions_are_two_numbers() {
    for text in ["1.41", "1.0", "2.65535"] {
        assert_eq!(ApiVersion::parse(text).unwrap().to_string(), text);
    }
    for text in [
        "",
        "1",
        "1.",
        ".1",
        "1.41.2",
        "v1.41",
        "1.-1",
        "1.65536",
        "1.41/../x",
        "+1.2",
    ] {
        assert!(ApiVersion::parse(text).is_err(), "{text}");
    }
    assert!(ApiVersion::parse("1.51").unwrap() > ApiVersion::parse("1.9").unwrap());
}

fn check_node_name(bytes: &[u8]) {
    let Ok(node) = NodeName::parse(bytes) else {
        return;
    };
    assert_eq!(node.to_string().as_bytes(), bytes);
    assert_eq!(format!("{}@{}", node.name(), node.host()).as_bytes(), bytes);
    match node.scheme() {
        Scheme::OnHost { id, host } => {
            assert_eq!(id.as_str(), node.name());
            assert!(HostAddr::parse(&host.to_string()) == Some(host));
        }
        Scheme::InContainer { name, container } => {
            assert_eq!(
                (name.as_str(), container.as_str()),
                (node.name(), node.host())
            );
            assert!(is_url_safe(container.as_str()));
        }
        Scheme::Other => {}
    }
}

proptest! {
    #[test]
    fn any_bytes_parse_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        check_node_name(&bytes);
    }

    #[test]
    fn what_looks_like_a_node_name_does_too(text in "[ -~ü]{0,12}@[ -~ü]{0,20}") {
        check_node_name(text.as_bytes());
    }

    #[test]
    fn what_is_a_node_name_does_too(text in "[a-f0-9]{10,66}@([a-z0-9.:-]{1,20}|[A-Za-z0-9_.-]{1,130})") {
        check_node_name(text.as_bytes());
    }

    #[test]
    fn references_and_ids_are_url_safe_and_print_back(text in "\\PC{0,8}|[a-zA-Z0-9_.%/-]{0,140}|[0-9a-f]{10,66}") {
        if let Some(reference) = ContainerRef::parse(&text) {
            prop_assert!(is_url_safe(&text) && text.len() <= 128 && !text.is_empty());
            prop_assert_eq!(reference.to_string(), text.clone());
        }
        if let Some(id) = ContainerId::parse(&text) {
            prop_assert!(text.len() >= 12 && text.len() <= 64);
            prop_assert_eq!(id.to_string(), text.clone());
            prop_assert!(ContainerRef::parse(&text).is_some());
        }
        let _ = AllowedHosts::parse(&[text]);
    }

    #[test]
    fn endpoints_print_a_text_that_parses_to_them(text in "(unix://|tcp://|http://|)(/|\\[)?[a-z0-9.:/\\]\\[-]{0,20}(:[0-9]{1,6})?") {
        if let Ok(endpoint) = Endpoint::parse(&text) {
            prop_assert_eq!(Endpoint::parse(&endpoint.to_string()), Ok(endpoint));
        }
    }
}
